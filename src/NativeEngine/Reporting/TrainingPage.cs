using System.Globalization;
using NativeEngine.Training;

namespace NativeEngine.Reporting;

/// <summary>The report of a training run, made from its metrics: does it learn, what was trained, how the selection moved, time and memory.</summary>
public static class TrainingPage
{
    private const int MostBins = 48;
    private const int MostSources = 40;

    /// <summary>The report of a run's history. Errors: BadInput for a run without a step.</summary>
    public static Report Of(MetricsHistory history, string name, IReadOnlyList<(string, string)> origin)
    {
        var steps = history.Steps;
        if (steps.Count == 0)
        {
            throw new EngineException(ErrorKind.BadInput, $"{name} has no step in its metrics", "train first");
        }
        double seconds = steps.Sum(s => s.Seconds), selecting = steps.Sum(s => s.SelectionSeconds), tokens = steps.Sum(s => (double)s.Tokens);
        double memory = steps.Max(s => s.ActivationBytes);
        long count = steps.Sum(s => s.Count);
        var facts = new List<ReportFact>
        {
            new("steps", Whole(count), count),
            new(steps[^1].Count == 1 ? "last training loss" : $"training loss, last {Whole(steps[^1].Count)} steps", ReportNumber.Short(steps[^1].Loss), steps[^1].Loss),
        };
        if (history.Evaluations.Count > 0)
        {
            var last = history.Evaluations[^1];
            facts.Add(new("held-out loss", ReportNumber.Short(last.Loss), last.Loss));
            facts.Add(new("held-out perplexity", ReportNumber.Short(Math.Exp(last.Loss)), Math.Exp(last.Loss)));
            facts.Add(new("mean loss over sources", ReportNumber.Short(last.MacroLoss), last.MacroLoss));
        }
        facts.Add(new("tokens a second", ReportNumber.Short(tokens / seconds), tokens / seconds));
        facts.Add(new("time in steps", ReportNumber.Seconds(seconds), seconds));
        facts.Add(new("of it choosing", ReportNumber.Percent(selecting / seconds), selecting / seconds));
        facts.Add(new("peak activations", ReportNumber.Bytes(memory), memory));
        var sections = new List<ReportSection> { Learning(history), Stability(steps), Sources(steps) };
        if (steps.Any(s => double.IsFinite(s.Objective)))
        {
            sections.Add(Objectives(steps));
        }
        if (history.Evaluations.Count > 0)
        {
            sections.Add(HeldOut(history.Evaluations));
        }
        sections.Add(TimeAndMemory(steps));
        return new Report { Kind = "train", Title = $"Training run {name}", Subtitle = Subtitle(steps), Facts = facts, Sections = sections, Origin = origin };
    }

    private static string Subtitle(IReadOnlyList<LoggedStep> steps)
    {
        double count = steps.Sum(s => s.Count), trained = steps.Sum(s => s.Examples) / count, drawn = steps.Sum(s => s.Sources.Values.Sum(x => x.Drawn)) / count;
        return $"{Whole((long)count)} steps of {ReportNumber.Short(trained)} of {ReportNumber.Short(drawn)} examples each, {Whole(steps.Sum(s => s.Tokens))} tokens in all.";
    }

    private static ReportSection Learning(MetricsHistory history)
    {
        var steps = history.Steps;
        double[] at = [.. steps.Select(s => (double)s.Step)], loss = [.. steps.Select(s => s.Loss)];
        int window = Math.Max(1, steps.Count / 40);
        var series = new List<LineSeries> { new("training, mean of " + Whole(((2 * window) + 1) * steps[0].Count) + " steps", at, Smooth(loss, window)), new(steps[0].Count == 1 ? "training, every step" : $"training, mean of {steps[0].Count}", at, loss, SeriesStyle.Faint) };
        int tenth = Math.Max(1, steps.Count / 10);
        double before = loss.Take(tenth).Average(), after = loss.Skip(steps.Count - tenth).Average();
        string answer = $"Training loss went from {ReportNumber.Short(before)} in the first tenth of the steps to {ReportNumber.Short(after)} in the last.";
        if (history.Evaluations.Count > 0)
        {
            series.Add(new LineSeries("held out", [.. history.Evaluations.Select(e => (double)e.Step)], [.. history.Evaluations.Select(e => e.Loss)]));
            var best = history.Evaluations.MinBy(e => e.Loss)!;
            answer += $" Held-out loss ended at {ReportNumber.Short(history.Evaluations[^1].Loss)}"
                + (best.Step < history.Evaluations[^1].Step ? $"; it was lowest after step {best.Step} with {ReportNumber.Short(best.Loss)}." : history.Evaluations.Count > 1 ? ", its lowest." : ".");
        }
        return new ReportSection("Does it learn?", answer)
        {
            Figures =
            [
                new LineFigure
                {
                    Name = "loss", Title = "Loss", XName = "step", YName = "nats a token", Series = series,
                    Caption = "Training loss covers the tokens that are learnt, held-out loss every token, so they need not be equal.",
                },
            ],
        };
    }

    private static ReportSection Stability(IReadOnlyList<LoggedStep> steps)
    {
        double[] at = [.. steps.Select(s => (double)s.Step)];
        var largest = steps.MaxBy(s => s.GradientNorm)!;
        double median = steps.Select(s => s.GradientNorm).Order().ElementAt(steps.Count / 2);
        return new ReportSection(
            "Was it stable?",
            $"The gradient's norm was {ReportNumber.Short(median)} in the median and at most {ReportNumber.Short(largest.GradientNorm)}, at step {(largest.Count == 1 ? "" : $"{largest.Step - largest.Count + 1} to ")}{largest.Step}. "
            + (largest.GradientNorm > 10 * median ? "That is more than ten times the median: look at what was trained there." : "No step stands out by a factor of ten."))
        {
            Figures =
            [
                new LineFigure
                {
                    Name = "gradient-norm", Title = "Norm of the gradient before clipping", XName = "step", YName = "norm", LogY = true,
                    Series = [new("gradient norm", at, [.. steps.Select(s => s.GradientNorm)])],
                },
                new LineFigure
                {
                    Name = "learning-rate", Title = "Learning rate", XName = "step", YName = "rate", FromZero = true, Series = [new("learning rate", at, [.. steps.Select(s => s.LearningRate)])],
                },
            ],
        };
    }

    private static ReportSection Sources(IReadOnlyList<LoggedStep> steps)
    {
        var totals = new Dictionary<string, (long Trained, long Drawn)>(StringComparer.Ordinal);
        foreach (var (name, (trained, drawn)) in steps.SelectMany(s => s.Sources))
        {
            var (t, d) = totals.GetValueOrDefault(name);
            totals[name] = (t + trained, d + drawn);
        }
        string[] names = [.. totals.OrderByDescending(t => t.Value.Drawn).ThenBy(t => t.Key, StringComparer.Ordinal).Select(t => t.Key)];
        if (names.Length == 0)
        {
            return new ReportSection("Which sources were trained?", "The metrics do not tell.");
        }
        var (most, least) = (names.MaxBy(Share)!, names.MinBy(Share)!);
        string answer = names.Length == 1 ? $"There is one source, {names[0]}; {ReportNumber.Percent(Share(most))} of its examples drawn were trained."
            : $"Of the examples drawn, {ReportNumber.Percent(Share(most))} of {most} were trained and {ReportNumber.Percent(Share(least))} of {least}.";
        var (gapSource, gapFirst, gapLast) = LongestGap(steps, names);
        answer += gapLast - gapFirst >= 10 ? $" The longest without any: {gapSource}, drawn but not trained from step {gapFirst} to {gapLast}." : " No source that was drawn went ten steps without being trained.";
        int bins = Math.Min(MostBins, steps.Count);
        string[] rows = [.. names.Take(MostSources)];
        var shares = Bins(steps, rows, bins);
        return new ReportSection("Which sources were trained, and how did the selection move?", answer)
        {
            Figures =
            [
                new BarFigure
                {
                    Name = "trained", Title = "Examples trained of those drawn", RowName = "source", ValueName = "trained", WholeName = "drawn", Show = v => v.ToString("N0", CultureInfo.InvariantCulture),
                    Rows = [.. names.Select(n => new BarRow(n, totals[n].Trained, totals[n].Drawn))],
                },
                new HeatFigure
                {
                    Name = "picks", Title = "Share of each source's drawn examples that was trained", RowName = "source", ColumnName = "from step", ValueName = "share trained", Darkest = 1,
                    Rows = rows, Columns = [.. Enumerable.Range(0, bins).Select(b => steps[(int)((long)b * steps.Count / bins)].Step.ToString(CultureInfo.InvariantCulture))],
                    Value = (r, b) => shares[r, b], Show = v => ReportNumber.Percent(v),
                    Caption = "An empty cell: the source was not drawn. A column is " + (steps.Sum(s => s.Count) == bins ? "one step." : $"about {ReportNumber.Short((double)steps.Sum(s => s.Count) / bins)} steps."),
                },
            ],
        };

        double Share(string name) => totals[name].Trained / (double)Math.Max(1, totals[name].Drawn);
    }

    private static double[,] Bins(IReadOnlyList<LoggedStep> steps, string[] rows, int bins)
    {
        var (trained, drawn) = (new double[rows.Length, bins], new double[rows.Length, bins]);
        for (int i = 0; i < steps.Count; i++)
        {
            // The bin whose first step is at or before this one.
            int bin = (int)((((long)i + 1) * bins - 1) / steps.Count);
            for (int r = 0; r < rows.Length; r++)
            {
                var (t, d) = steps[i].Sources.GetValueOrDefault(rows[r]);
                trained[r, bin] += t;
                drawn[r, bin] += d;
            }
        }
        for (int r = 0; r < rows.Length; r++)
        {
            for (int b = 0; b < bins; b++)
            {
                trained[r, b] = drawn[r, b] > 0 ? trained[r, b] / drawn[r, b] : double.NaN;
            }
        }
        return trained;
    }

    private static (string Source, long First, long Last) LongestGap(IReadOnlyList<LoggedStep> steps, string[] names)
    {
        var longest = ("", 0L, 0L);
        foreach (string name in names)
        {
            long first = -1;
            foreach (var step in steps)
            {
                var (trained, drawn) = step.Sources.GetValueOrDefault(name);
                first = trained > 0 ? -1 : first < 0 && drawn > 0 ? step.Step : first;
                if (first >= 0 && step.Step - first > longest.Item3 - longest.Item2)
                {
                    longest = (name, first, step.Step);
                }
            }
        }
        return longest;
    }

    private static ReportSection Objectives(IReadOnlyList<LoggedStep> steps)
    {
        var chosen = steps.Where(s => double.IsFinite(s.Objective) && s.Bound > 0).ToArray();
        if (chosen.Length == 0)
        {
            return new ReportSection("How good was each selection?", "The metrics hold objectives but no bounds.");
        }
        double[] ratio = [.. chosen.Select(s => s.Objective / s.Bound)];
        return new ReportSection(
            "How good was each selection?",
            $"Each step's selection reached at least {ReportNumber.Percent(ratio.Min())} of the best possible objective with the same quotas, {ReportNumber.Percent(ratio.Average())} on average.")
        {
            Figures =
            [
                new LineFigure
                {
                    Name = "certificate", Title = "Objective as a share of its bound", XName = "step", YName = "share of the bound",
                    Series = [new("objective / bound", [.. chosen.Select(s => (double)s.Step)], ratio)],
                },
            ],
        };
    }

    private static ReportSection HeldOut(IReadOnlyList<LoggedEvaluation> evaluations)
    {
        var last = evaluations[^1];
        var names = last.Sources.OrderByDescending(s => s.Value).Select(s => s.Key).ToArray();
        var figures = new List<Figure>
        {
            new BarFigure
            {
                Name = "held-out", Title = $"Held-out loss of each source after step {last.Step}, 95 % intervals", RowName = "source", ValueName = "nats a token", Dots = true,
                Rows = [.. names.Select(n => new BarRow(n, last.Sources[n], Low: last.Sources[n] - Half(n), High: last.Sources[n] + Half(n)))],
            },
        };
        if (evaluations.Count > 1)
        {
            string[] shown = [.. names.Take(MostSources)];
            figures.Add(new HeatFigure
            {
                Name = "held-out-by-step",
                Title = "Held-out loss of each source over the run",
                RowName = "source",
                ColumnName = "after step",
                ValueName = "nats a token",
                Rows = shown,
                Columns = [.. evaluations.Select(e => e.Step.ToString(CultureInfo.InvariantCulture))],
                Value = (r, c) => evaluations[c].Sources.GetValueOrDefault(shown[r], double.NaN),
            });
        }
        string answer = names.Length == 0 ? "Nothing was scored." : $"After step {last.Step}, {names[0]} is predicted worst with {ReportNumber.Short(last.Sources[names[0]])} nats a token, {names[^1]} best with {ReportNumber.Short(last.Sources[names[^1]])}.";
        if (evaluations.Count > 1 && names.Length > 0)
        {
            string[] worse = [.. names.Where(n => last.Sources[n] > evaluations.Min(e => e.Sources.GetValueOrDefault(n, double.PositiveInfinity)) + Half(n))];
            answer += worse.Length > 0 ? $" Clearly worse than at their best: {string.Join(", ", worse)}." : " None is clearly worse than at its best.";
        }
        return new ReportSection("How well is each source predicted?", answer) { Figures = figures };

        double Half(string name) => EvaluationPage.Normal95 * last.Errors.GetValueOrDefault(name, double.NaN);
    }

    private static ReportSection TimeAndMemory(IReadOnlyList<LoggedStep> steps)
    {
        double[] at = [.. steps.Select(s => (double)s.Step)];
        var figures = new List<Figure>
        {
            new LineFigure
            {
                Name = "time", Title = "Time of a step", XName = "step", YName = "milliseconds", Stacked = true,
                Series =
                [
                    new("training", at, [.. steps.Select(s => 1e3 * (s.Seconds - s.SelectionSeconds) / s.Count)], SeriesStyle.Area),
                    new("choosing the batch", at, [.. steps.Select(s => 1e3 * s.SelectionSeconds / s.Count)], SeriesStyle.Area),
                ],
            },
        };
        double memory = steps.Max(s => s.ActivationBytes);
        if (double.IsFinite(memory))
        {
            figures.Add(new LineFigure
            {
                Name = "memory",
                Title = "Memory of activations, features and distances in each step",
                XName = "step",
                YName = "bytes",
                YBytes = true,
                Series = [new("peak bytes", at, [.. steps.Select(s => s.ActivationBytes)], SeriesStyle.Area)],
            });
        }
        double seconds = steps.Sum(s => s.Seconds), selecting = steps.Sum(s => s.SelectionSeconds);
        return new ReportSection(
            "Where did time and memory go?",
            $"Steps took {ReportNumber.Seconds(seconds / steps.Sum(s => s.Count))} on average, {ReportNumber.Percent(selecting / seconds)} of it to choose the batch."
            + (double.IsFinite(memory) ? $" The largest step needed {ReportNumber.Bytes(memory)} besides weights, gradients and the optimiser's state." : ""))
        {
            Figures = figures,
        };
    }

    /// <summary>Means over windows of up to 2 w + 1 values.</summary>
    internal static double[] Smooth(double[] values, int w)
    {
        var sums = new double[values.Length + 1];
        for (int i = 0; i < values.Length; i++)
        {
            sums[i + 1] = sums[i] + values[i];
        }
        var smooth = new double[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            int first = Math.Max(0, i - w), last = Math.Min(values.Length - 1, i + w);
            smooth[i] = (sums[last + 1] - sums[first]) / (last - first + 1);
        }
        return smooth;
    }

    private static string Whole(long value) => value.ToString("N0", CultureInfo.InvariantCulture);
}
