// Layer norm over the last axis by hand, forward and backward, in float64.
// Reads a test vector of the operation, computes its gradients, and writes them as a result.
//
//   y  = x̂ ∘ w + b,   x̂ = (x − mean x)·r,   r = 1/√(mean (x − mean x)² + ε)      for each row x of n numbers
//
//   d_b = Σ over rows of d_y        d_w = Σ over rows of d_y ∘ x̂        g = d_y ∘ w
//   d_x = r·(g − mean g − x̂·mean(g ∘ x̂))
//
// The mean of g comes from x − mean x, and x̂·mean(g ∘ x̂) from r, both of which depend on every number of the row
// (Ba, Kiros & Hinton 2016, arXiv:1607.06450). With -DMEAN_TERM_LEFT_OUT the first is forgotten: a common bug.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { int rows, cols; double *at; } Array;  // row by row; all axes but the last are rows

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

int main(int argc, char **argv) {
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    text = calloc(1 << 24, 1);
    if (!file || !text || !fread(text, 1, (1 << 24) - 1, file)) return 1;
    char *eps_at = after(after(text, "\"name\": \"layer_norm\""), "\"eps\": {");
    char *dtype = after(after(text, "\"architecture\""), "\"dtype\": ");
    if (!eps_at || !dtype || strncmp(dtype, "\"float64\"", 9)) {
        fprintf(stderr, "expected a case of layer_norm in float64\n");
        return 1;
    }
    double eps = number(&eps_at), loss = 0;
    Array x = take("x"), w = take("weight"), b = take("bias"), d_y = take("target");
    int n = x.cols;
    if (!x.rows || !d_y.rows || w.rows > 1 || (w.rows && w.cols != n)) {
        fprintf(stderr, "expected rows to normalize, and a weight for each number of a row\n");
        return 1;
    }
    Array d_x = zeros(x.rows, n), d_w = zeros(1, n), d_b = zeros(1, n), normal = zeros(1, n), g = zeros(1, n);

    for (int row = 0; row < x.rows; row++) {
        const double *in = x.at + row * n, *dy = d_y.at + row * n;
        double mean = 0, variance = 0;
        for (int i = 0; i < n; i++) mean += in[i] / n;
        for (int i = 0; i < n; i++) variance += (in[i] - mean) * (in[i] - mean) / n;
        double r = 1 / sqrt(variance + eps);

        double mean_g = 0, mean_gx = 0;
        for (int i = 0; i < n; i++) {
            normal.at[i] = (in[i] - mean) * r;
            double weight = w.rows ? w.at[i] : 1, bias = b.rows ? b.at[i] : 0;
            loss += dy[i] * (normal.at[i] * weight + bias);  // inner_product: target and output
            d_w.at[i] += dy[i] * normal.at[i];
            d_b.at[i] += dy[i];
            g.at[i] = dy[i] * weight;
            mean_g += g.at[i] / n;
            mean_gx += g.at[i] * normal.at[i] / n;
        }
#ifdef MEAN_TERM_LEFT_OUT
        mean_g = 0;
#endif
        for (int i = 0; i < n; i++) d_x.at[row * n + i] = r * (g.at[i] - mean_g - normal.at[i] * mean_gx);
    }

    printf("{\"dtype\": \"float64\", \"gradients\": {\n");
    put("x", d_x);
    if (w.rows) put("weight", d_w);
    if (b.rows) put("bias", d_b);
    printf("  \"loss\": %.17g\n}}\n", loss);
    return 0;
}
