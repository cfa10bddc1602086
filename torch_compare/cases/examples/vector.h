// A test vector in C: its arrays by their names, and gradients as a result prints them. It needs the C library alone.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { int rows, cols; double *at; } Array;  // row by row; all axes but the last are rows

static char *text;  // of the whole case

// Reads the file that the program is called with; 0 if there is none.
static int load(int argc, char **argv) {
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    text = calloc(1 << 24, 1);
    return file && text && fread(text, 1, (1 << 24) - 1, file);
}

static Array zeros(int rows, int cols) {
    Array a = {rows, cols, calloc((size_t)rows * (size_t)cols, sizeof(double))};
    if (!a.at) exit(1);
    return a;
}

static char *after(char *where, const char *what) {
    char *found = where ? strstr(where, what) : NULL;
    return found ? found + strlen(what) : NULL;
}

static double number(char **p) {  // the next one, from its bits
    char *digits = strstr(*p, "0x");
    if (!digits) exit(1);
    uint64_t bits = strtoull(digits, p, 16);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// The array of that name; rows = 0 if there is none.
static Array take(const char *name) {
    char key[64];
    snprintf(key, sizeof key, "\"%s\": {", name);
    char *p = after(after(after(text, "\"arrays\""), key), "\"shape\": [");
    if (!p) return (Array){0, 0, NULL};
    int rows = 1, cols = (int)strtol(p, &p, 10);
    while (*p == ',') {
        rows *= cols;
        cols = (int)strtol(p + 1, &p, 10);
    }
    Array a = zeros(rows, cols);
    for (int i = 0; i < rows * cols; i++) a.at[i] = number(&p);
    return a;
}

static void put(const char *name, Array a) {
    printf("  \"%s\": [", name);
    for (int i = 0; i < a.rows * a.cols; i++) printf("%s%.17g", i ? ", " : "", a.at[i]);
    printf("],\n");
}
