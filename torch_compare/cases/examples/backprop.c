// Backpropagation by hand: layers of tanh, the last one linear, mean squared error, float64.
// Reads a test vector and writes its own gradients of it.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 128 };

typedef struct { int rows, cols; double *at; } Array;  // row by row

static char *text;  // of the whole case

static Array zeros(int rows, int cols) {
    Array a = {rows, cols, calloc((size_t)rows * (size_t)cols, sizeof(double))};
    if (!a.at) exit(1);
    return a;
}

static char *after(char *where, const char *what) {
    char *found = where ? strstr(where, what) : NULL;
    return found ? found + strlen(what) : NULL;
}

// The array of that name, its numbers from their bits; rows = 0 if there is none.
static Array take(const char *name) {
    char key[64];
    snprintf(key, sizeof key, "\"%s\": {", name);
    char *p = after(after(after(text, "\"arrays\""), key), "\"shape\": [");
    if (!p) return (Array){0, 0, NULL};
    int rows = (int)strtol(p, &p, 10);
    int cols = *p == ',' ? (int)strtol(p + 1, &p, 10) : 1;
    Array a = zeros(rows, cols);
    for (int i = 0; i < rows * cols; i++) {
        uint64_t bits = strtoull(strstr(p, "0x"), &p, 16);
        memcpy(&a.at[i], &bits, sizeof bits);
    }
    return a;
}

static void put(const char *name, Array a) {
    printf("  \"%s\": [", name);
    for (int i = 0; i < a.rows * a.cols; i++) printf("%s%.17g", i ? ", " : "", a.at[i]);
    printf("],\n");
}

static const char *place(int layer, const char *kind) {
    static char name[64];
    snprintf(name, sizeof name, "layers[%d].%s", layer, kind);
    return name;
}

int main(int argc, char **argv) {
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    text = calloc(1 << 24, 1);
    if (!file || !text || !fread(text, 1, (1 << 24) - 1, file)) return 1;

    Array weight[MOST], bias[MOST], h[MOST + 1] = {take("x")}, target = take("target");
    int layers = 0, n = h[0].rows;
    while (layers < MOST && (weight[layers] = take(place(layers, "weight"))).rows) {
        bias[layers] = take(place(layers, "bias"));
        layers++;
    }
    for (int l = 0; l < layers; l++) {  // forward: h[l + 1] = tanh(h[l] Wᵀ + b)
        Array w = weight[l], in = h[l], out = zeros(n, w.rows);
        for (int i = 0; i < n; i++)
            for (int o = 0; o < w.rows; o++) {
                double z = bias[l].rows ? bias[l].at[o] : 0;
                for (int k = 0; k < w.cols; k++) z += w.at[o * w.cols + k] * in.at[i * w.cols + k];
                out.at[i * w.rows + o] = l < layers - 1 ? tanh(z) : z;
            }
        h[l + 1] = out;
    }
    Array d = zeros(n, target.cols);  // of the loss by z, the pre-activation of the layer at hand
    double loss = 0;
    int count = n * target.cols;
    for (int i = 0; i < count; i++) {
        double error = h[layers].at[i] - target.at[i];
        loss += error * error / count;
        d.at[i] = 2 * error / count;
    }
    printf("{\"dtype\": \"float64\", \"gradients\": {\n");
    for (int l = layers - 1; l >= 0; l--) {  // backward
        Array w = weight[l], in = h[l], dw = zeros(w.rows, w.cols), db = zeros(w.rows, 1), din = zeros(n, w.cols);
        for (int i = 0; i < n; i++)
            for (int o = 0; o < w.rows; o++) {
                double dz = d.at[i * w.rows + o];
                db.at[o] += dz;
                for (int k = 0; k < w.cols; k++) {
                    dw.at[o * w.cols + k] += dz * in.at[i * w.cols + k];
                    din.at[i * w.cols + k] += dz * w.at[o * w.cols + k];
                }
            }
        put(place(l, "weight"), dw);
        if (bias[l].rows) put(place(l, "bias"), db);
        for (int i = 0; l > 0 && i < n * w.cols; i++) {
            double y = in.at[i];
            din.at[i] *= 1 - y * y;  // tanh′
        }
        d = din;
    }
    put("input", d);
    printf("  \"loss\": %.17g\n}}\n", loss);
    return 0;
}
