using System.Globalization;
using FsCheck;
using FsCheck.Fluent;
using Microsoft.FSharp.Core;

namespace NativeEngine.Tests.Properties;

/// <summary>
/// A statement about all values of some types, tried on generated ones; a counterexample is made as small as possible before it is shown. The same values in every run;
/// NENGINE_PROPERTY_SEED gives others, NENGINE_PROPERTY_TIMES more.
/// </summary>
internal static class Property
{
    public static void Holds<T>(Action<T> property, int times = 200) => Check.One(Settings(times), Prop.ForAll(property));

    public static void Holds<T1, T2>(Action<T1, T2> property, int times = 200) => Check.One(Settings(times), Prop.ForAll(property));

    public static void Holds<T1, T2, T3>(Action<T1, T2, T3> property, int times = 200) => Check.One(Settings(times), Prop.ForAll(property));

    /// <summary>A generated number as one of [low, high].</summary>
    public static int In(int low, int high, int number) => low + (int)((uint)number % (uint)(high - low + 1));

    private static Config Settings(int times)
    {
        ulong seed = ulong.TryParse(Environment.GetEnvironmentVariable("NENGINE_PROPERTY_SEED"), CultureInfo.InvariantCulture, out ulong asked) ? asked : 1;
        int most = int.TryParse(Environment.GetEnvironmentVariable("NENGINE_PROPERTY_TIMES"), CultureInfo.InvariantCulture, out int factor) ? times * factor : times;
        return Config.QuickThrowOnFailure.WithMaxTest(most).WithQuietOnSuccess(true).WithReplay(FSharpOption<Replay>.Some(new Replay(new Rnd(seed, 2_022_451_583), FSharpOption<int>.None)));
    }
}
