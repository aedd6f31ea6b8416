namespace NativeEngine.Ablation;

/// <summary>
/// A base unit u: a piece of one source of about the target size, the grain at which data is included or left out (method of Na et al. 2024,
/// section 1.1 of the vocabulary: corpus, partition, base unit).
/// </summary>
/// <param name="Index">Its place among the study's units, the order of every list of weights.</param>
/// <param name="Name">The source's name, with .1, .2, … where the source is cut into several.</param>
/// <param name="Source">The source (domain) it is cut from.</param>
/// <param name="Tokens">Tokens of its documents, special tokens included.</param>
/// <param name="Documents">Its documents.</param>
/// <param name="Sequences">Training sequences the documents are packed into.</param>
/// <param name="ContentHash">SHA-256 of the texts in order, in hexadecimal; it does not depend on the tokenizer.</param>
/// <param name="SequenceHash">SHA-256 of the training sequences, in hexadecimal; empty for an imported unit without data.</param>
/// <param name="Import">Where its model comes from when it is not trained here, or null.</param>
public sealed record DataUnit(
    int Index, string Name, string Source, long Tokens, int Documents, int Sequences, string ContentHash, string SequenceHash, string? Import = null);

/// <summary>A source of the study and what became of its documents: units + held out + seed + repeated = documents.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Documents">Documents in the training files.</param>
/// <param name="HeldOut">Of these, kept for evaluation (when the study names no evaluation file).</param>
/// <param name="Seed">Of these, given to the seed model's own training.</param>
/// <param name="Repeated">Of these, left out because evaluation has the same prompt or text.</param>
/// <param name="Units">Of these, in units.</param>
/// <param name="UnitCount">Units cut.</param>
/// <param name="Tokens">Tokens of the documents in units.</param>
/// <param name="EvaluationDocuments">Documents to evaluate on.</param>
/// <param name="EvaluationTokens">Their tokens with a loss.</param>
/// <param name="Note">What is unusual about it (units outside the tolerance, nothing to evaluate on), or null.</param>
public sealed record StudySource(
    string Name, int Documents, int HeldOut, int Seed, int Repeated, int Units, int UnitCount, long Tokens, int EvaluationDocuments,
    long EvaluationTokens, string? Note);
