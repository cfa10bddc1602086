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

#include "vector.h"

int main(int argc, char **argv) {
    if (!load(argc, argv)) return 1;
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
