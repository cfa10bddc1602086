// Backpropagation by hand: layers of tanh, the last one linear, mean squared error, float64.
// Reads a test vector and writes its own gradients of it.
#include <math.h>

#include "vector.h"

enum { MOST = 128 };

static const char *place(int layer, const char *kind) {
    static char name[64];
    snprintf(name, sizeof name, "layers[%d].%s", layer, kind);
    return name;
}

int main(int argc, char **argv) {
    if (!load(argc, argv)) return 1;

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
