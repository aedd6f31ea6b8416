namespace NativeEngine.Devices;

/// <summary>How the difference of two feature rows is measured.</summary>
public enum DistanceMetric
{
    /// <summary>Sum of absolute differences; similarity is the largest distance of the matrix minus the distance.</summary>
    L1,
    /// <summary>Euclidean distance; similarity is the largest distance of the matrix minus the distance.</summary>
    L2,
    /// <summary>Cosine of the angle, used as the similarity itself. A zero row has cosine 0 with every row.</summary>
    Cosine,
}

/// <summary>The constants of one AdamW update. <paramref name="Step"/> counts from 1.</summary>
public readonly record struct AdamWStep(float LearningRate, float Beta1, float Beta2, float Epsilon, float WeightDecay, long Step);

/// <summary>
/// Every operation a device must offer: the one list that the model, the optimisers and the selection call, and that
/// <see cref="KernelTable"/> describes for tests, benchmarks and the profiler.
/// <para>Rules. Sources come first, then constants, then destinations. Matrices are row-major and contiguous. Calls may be asynchronous
/// (see <see cref="Device"/>). Sources and destinations must not overlap unless a method says so. Every reduction has a fixed order: the
/// result has the same bits for any number of threads and any register width. No method allocates device memory.</para>
/// <para>Errors: shapes that do not fit are refused with both shapes before anything runs.</para>
/// </summary>
public interface IKernels
{
    // ---- Dense algebra ------------------------------------------------------------------------------------------------

    /// <summary>
    /// C[m,n] = op(A) op(B), or C += op(A) op(B). A is [m,k] ([k,m] when transposed), B is [k,n] ([n,k] when transposed). Every element is
    /// one chain of fused multiply-adds in ascending k that starts from 0 (or from C), so cutting m, n or, when accumulating, k into
    /// several calls gives the same bits. Cost 2mnk flops.
    /// </summary>
    void MatMul(Tensor<float> a, bool transposeA, Tensor<float> b, bool transposeB, bool accumulate, Tensor<float> c);

    /// <summary>
    /// Per-segment weight gradients: C[s] = sum over the rows r of segment s of a[r]^T b[r]. A is [N,o], B is [N,i], offsets is [S+1]
    /// ascending, C is [S, o*i]. Order as in <see cref="MatMul"/>.
    /// </summary>
    void SegmentedMatMul(Tensor<float> a, Tensor<float> b, Tensor<int> offsets, Tensor<float> c);

    // ---- Elementwise and gather ---------------------------------------------------------------------------------------

    /// <summary>x = value.</summary>
    void Fill(float value, Tensor<float> x);

    /// <summary>y = x.</summary>
    void Copy(Tensor<float> x, Tensor<float> y);

    /// <summary>y += alpha x (fused).</summary>
    void Axpy(float alpha, Tensor<float> x, Tensor<float> y);

    /// <summary>x *= alpha.</summary>
    void Scale(float alpha, Tensor<float> x);

    /// <summary>
    /// y[i] = sum over k of weights[k] x[k,i] in double, products and sums rounded one by one in ascending k from 0, then rounded once to
    /// float: a merge of K parameter vectors packed one after the other. X is [K,n], weights is [K], y is [n]. Reads 4K and writes 4 bytes an element.
    /// </summary>
    void WeightedSum(Tensor<float> x, Tensor<double> weights, Tensor<float> y);

    /// <summary>result[0] = sum of x[i]^2: double sums of blocks of 4096 elements, added in ascending order, rounded once to float.</summary>
    void SumOfSquares(Tensor<float> x, Tensor<float> result);

    /// <summary>y[i] = x[rows[i]]. X is [N,C], rows is [M], y is [M,C]. The forward pass of an embedding.</summary>
    void GatherRows(Tensor<float> x, Tensor<int> rows, Tensor<float> y);

    /// <summary>y[rows[i]] += x[i] in ascending i. X is [M,C], y is [N,C]; rows may repeat. The backward pass of an embedding.</summary>
    void ScatterAddRows(Tensor<float> x, Tensor<int> rows, Tensor<float> y);

    // ---- Transformer --------------------------------------------------------------------------------------------------

    /// <summary>
    /// y[r] = weight * x[r] * s[r], s[r] = 1 / sqrt(mean(x[r]^2) + epsilon) (Zhang and Sennrich 2019). X, y are [N,C], weight is [C],
    /// s = inverseRms is [N].
    /// </summary>
    void RmsNorm(Tensor<float> x, Tensor<float> weight, float epsilon, Tensor<float> y, Tensor<float> inverseRms);

    /// <summary>
    /// With g = dy * weight: dx[r] += s (g - x s^2 mean(g x)); dweight += sum over r of dy x s, rows in ascending order. Either destination
    /// may be none.
    /// </summary>
    void RmsNormBackward(Tensor<float> dy, Tensor<float> x, Tensor<float> weight, Tensor<float> inverseRms, Tensor<float> dx, Tensor<float> dweight);

    /// <summary>
    /// Rotates each head's halves in place (half-split form): with p = positions[r], (a, b) = (x[j], x[j + h/2]) becomes
    /// (a cos - b sin, b cos + a sin) with cos[p, j], sin[p, j]. X is [N, heads * h]; cos, sin are [T, h/2]; positions is [N] within T.
    /// Inverse rotates back, which is the backward pass (Su et al. 2021).
    /// </summary>
    void Rope(Tensor<int> positions, Tensor<float> cos, Tensor<float> sin, int heads, bool inverse, Tensor<float> x);

    /// <summary>
    /// Causal grouped-query attention over packed sequences, without a T x T matrix. For sequence s the query rows are
    /// queryOffsets[s] .. queryOffsets[s+1] - 1 and the key rows likewise; query i of Lq sees keys 0 .. i + Lk - Lq (so a cache of earlier keys
    /// may precede; Lk must be at least Lq). Rows outside every sequence are left alone. Q is [Nq, heads * h], k and v are
    /// [Nk, keyValueHeads * h]; head i uses key-value head i / (heads / keyValueHeads); scores are scaled by 1/sqrt(h). Output is
    /// [Nq, heads * h], logSumExp is [Nq, heads].
    /// </summary>
    void Attention(
        Tensor<float> q, Tensor<float> k, Tensor<float> v, Tensor<int> queryOffsets, Tensor<int> keyOffsets, int heads, int keyValueHeads,
        Tensor<float> output, Tensor<float> logSumExp);

    /// <summary>
    /// Backward pass of <see cref="Attention"/> with equal query and key offsets: P is recomputed from logSumExp, dV = P^T dO,
    /// dS = P (dO V^T - rowsum(dO O)), dQ = dS K / sqrt(h), dK = dS^T Q / sqrt(h). dq, dk, dv are overwritten; dq and dk may both be none.
    /// </summary>
    void AttentionBackward(
        Tensor<float> dOutput, Tensor<float> q, Tensor<float> k, Tensor<float> v, Tensor<float> output, Tensor<float> logSumExp,
        Tensor<int> offsets, int heads, int keyValueHeads, Tensor<float> dq, Tensor<float> dk, Tensor<float> dv);

    /// <summary>y = silu(gate) * up, silu(x) = x / (1 + e^-x) (Shazeer 2020). Y may be gate or up.</summary>
    void SwiGlu(Tensor<float> gate, Tensor<float> up, Tensor<float> y);

    /// <summary>dGate = dy up silu'(gate), dUp = dy silu(gate). The destinations may be gate, up or dy themselves.</summary>
    void SwiGluBackward(Tensor<float> dy, Tensor<float> gate, Tensor<float> up, Tensor<float> dGate, Tensor<float> dUp);

    /// <summary>
    /// loss[r] = logsumexp(logits[r]) - logits[r, target[r]] in natural units. Unless rowWeights is none, logits are then replaced by the
    /// gradient rowWeights[r] (softmax(logits[r]) - onehot(target[r])). Logits is [R,V], the others [R]; targets within V.
    /// </summary>
    void CrossEntropy(Tensor<float> logits, Tensor<int> targets, Tensor<float> rowWeights, Tensor<float> losses);

    // ---- Optimisers: the gradient used is gradient * gradientScale[0] ---------------------------------------------------

    /// <summary>scale[0] = min(1, maximumNorm / (sqrt(sumOfSquares[0]) + 1e-6)).</summary>
    void ClipScale(Tensor<float> sumOfSquares, float maximumNorm, Tensor<float> scale);

    /// <summary>
    /// AdamW with decoupled decay (Loshchilov and Hutter 2019): m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2;
    /// p = p (1 - lr wd) - lr (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps). In place on p, m, v. Reads 16 and writes 12 bytes a parameter.
    /// </summary>
    void AdamW(Tensor<float> gradient, Tensor<float> gradientScale, AdamWStep constants, Tensor<float> parameter, Tensor<float> m, Tensor<float> v);

    /// <summary>SGD with momentum: velocity = mu velocity + g; p = p (1 - lr wd) - lr velocity.</summary>
    void Momentum(
        Tensor<float> gradient, Tensor<float> gradientScale, float learningRate, float mu, float weightDecay, Tensor<float> parameter,
        Tensor<float> velocity);

    /// <summary>Lion (Chen et al. 2023): p = p (1 - lr wd) - lr sign(b1 m + (1-b1) g); m = b2 m + (1-b2) g. sign(0) = 0.</summary>
    void Lion(
        Tensor<float> gradient, Tensor<float> gradientScale, float learningRate, float beta1, float beta2, float weightDecay,
        Tensor<float> parameter, Tensor<float> m);

    // ---- Random numbers -----------------------------------------------------------------------------------------------

    /// <summary>
    /// Standard normal values, a pure function of (seed, stream, i): x[4b .. 4b+3] come from the words w0..w3 of block b of
    /// <see cref="CounterRandom"/> with purpose Direction. Each pair (w0, w1), (w2, w3) gives r cos a and r sin a in float32 with
    /// r = sqrt(-2 ln(((w0 &gt;&gt; 8) + 1) / 2^24)), a = 2 pi (w1 &gt;&gt; 8) / 2^24 (Box and Muller 1958), so |x| is at most 5.77.
    /// </summary>
    void Gaussian(ulong seed, uint stream, Tensor<float> x);

    // ---- Selection (CoLM, arXiv 2407.19580) ---------------------------------------------------------------------------
    // Decay rates are doubles: 1 - 0.999f is off by 5e-5 of its value, which a history would keep for ever.

    /// <summary>finite[i] = 1 when every element of row i of x [n,d] is finite, else 0.</summary>
    void RowsFinite(Tensor<float> x, Tensor<int> finite);

    /// <summary>
    /// Step E, rows of features [n,d] against the shared history m, v [d] (either may be none: zeros), s = step optimizer steps already done:
    /// u = [ (b1 m + (1-b1) f) / (1 - b1^(s+1)) ] / ( sqrt( (b2 v + (1-b2) f^2) / (1 - b2^(s+1)) ) + eps ). U may be f. |f| below 1.8e19, so
    /// that its square is finite.
    /// </summary>
    void AdamNormalize(
        Tensor<float> features, Tensor<float> m, Tensor<float> v, double beta1, double beta2, double epsilon, long step, Tensor<float> normalized);

    /// <summary>u = mu velocity + f, the update SGD with momentum would make. Velocity [d] may be none. U may be f.</summary>
    void MomentumNormalize(Tensor<float> features, Tensor<float> velocity, double mu, Tensor<float> normalized);

    /// <summary>u = sign(b1 m + (1-b1) f), the update Lion would make. M [d] may be none. U may be f.</summary>
    void LionNormalize(Tensor<float> features, Tensor<float> m, double beta1, Tensor<float> normalized);

    /// <summary>
    /// History after a selection: moment = decay moment + weight mean over the picked rows of f (or of f^2 when squared). Features is [n,d],
    /// rows is [p] (p &gt; 0), moment is [d]; rows are summed in the given order.
    /// </summary>
    void UpdateMoment(Tensor<float> features, Tensor<int> rows, bool squared, double decay, double weight, Tensor<float> moment);

    /// <summary>Step F: importance[k] = | mean over the given rows of u[row,k] |, rows summed in the given order. U is [n,d], importance is [d].</summary>
    void ColumnImportance(Tensor<float> u, Tensor<int> rows, Tensor<float> importance);

    /// <summary>
    /// The k = columns.Length largest entries of importance [d] (non-negative), in descending order, ties to the lowest column. No full sort.
    /// </summary>
    void TopK(Tensor<float> importance, Tensor<int> columns);

    /// <summary>y[i,j] = x[rows[i], columns[j]]. X is [n,d], y is [p,h].</summary>
    void Gather(Tensor<float> x, Tensor<int> rows, Tensor<int> columns, Tensor<float> y);

    /// <summary>
    /// Step H: S [n,n] from rows x [n,h]. L1, L2: S = C - D with C = largest distance of this matrix, written to largest[0]; cosine: S = cosine
    /// rounded to a multiple of 2^-24, largest[0] = 1. Symmetric to the bit; S[i,i] = C (cosine: 1, of a zero row 0); equal rows have distance 0.
    /// <para>All entries of S are multiples of C 2^-25 or coarser, so sums of up to 2^27 of them, and of their differences, are exact in double in
    /// any order: what <see cref="FacilityLocation"/> compares are exact numbers.</para>
    /// </summary>
    void Similarity(Tensor<float> x, DistanceMetric metric, Tensor<float> similarity, Tensor<float> largest);

    /// <summary>
    /// Distances of two sets of rows, a [m,h] and b [p,h]: D [m,p] = sum |a_i - b_j|, root of the sum of squares, or the negative of the cosine
    /// (smaller is nearer). The same bits as in <see cref="Similarity"/>, whatever sets the two rows are given in. Half the work when a and b
    /// are the same tensor. Largest is a single element: the largest distance; for cosine the largest similarity, at least 0.
    /// </summary>
    void Distances(Tensor<float> a, Tensor<float> b, DistanceMetric metric, Tensor<float> distances, Tensor<float> largest);

    /// <summary>
    /// Merges a block of distances [m,p], of the examples firstRow + i to the examples firstColumn + j, into the lists of the t nearest of its
    /// rows (m lists) or, by columns, of its columns (p lists). A list is a row of nearest [lists,t] and neighbours [lists,t] in ascending order
    /// of (distance, example); what is not filled yet has the distance infinity. An example is not its own neighbour. Merging a pair twice is an error
    /// of the caller. Any order of merging gives the same lists.
    /// </summary>
    void MergeNearest(Tensor<float> distances, long firstRow, long firstColumn, bool columns, Tensor<float> nearest, Tensor<int> neighbours);

    /// <summary>
    /// Step H: greedy maximisation of F(A) = sum over i of max(0, max over j in A of S[i,j]) with |A| = picks.Length &lt;= n, S symmetric. Gains are
    /// sums in double, exact for S of <see cref="Similarity"/>; equal gains go to the lowest index. Owners[i] = position in picks that represents
    /// i (a pick represents itself; otherwise the largest S, ties to the earliest pick; -1 without picks). Gains never increase. Remaining[j] = gain j would still
    /// bring after the last pick, 0 for picks: F(A) + the k largest of them bounds every set of k from above.
    /// </summary>
    void FacilityLocation(
        Tensor<float> similarity, Tensor<int> picks, Tensor<double> gains, Tensor<int> owners, Tensor<double> remaining);
}
