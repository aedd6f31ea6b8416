using System.Runtime.Intrinsics;

namespace NativeEngine.Tests.Ptx;

/// <summary>
/// 32 threads that run the same instruction as long as they agree on where to go. Threads that branch apart are kept as (place, mask) pairs; the
/// lowest place always runs first, so that they meet again.
/// </summary>
internal sealed unsafe class PtxWarp(PtxGroup group, int firstThread, byte* registers)
{
    private const long MostInstructions = 500_000_000;

    private readonly (int Place, uint Mask)[] _apart = new (int, uint)[32];
    private int _apartCount, _place, _limit;
    private uint _active, _waiting;

    public byte* Registers { get; } = registers;

    public PtxGroup Group { get; } = group;

    public int FirstThread { get; } = firstThread;

    /// <summary>Lanes that have left the kernel.</summary>
    public uint Exited { get; private set; }

    /// <summary>Lanes that wait, and at which instruction.</summary>
    public uint Waiting => _waiting;

    public int WaitingAt { get; private set; }

    /// <summary>Copies to shared memory that are on their way: those since the last commit, and the groups before.</summary>
    public List<(int Lane, long To, Vector128<byte> Data)> Copies { get; set; } = [];

    public List<List<(int Lane, long To, Vector128<byte> Data)>> CopyGroups { get; } = [];

    public void Start(uint lanes)
    {
        (_apartCount, _place, _limit) = (0, 0, int.MaxValue);
        (_active, _waiting, Exited, WaitingAt) = (lanes, 0, ~lanes, -1);
        Copies.Clear();
        CopyGroups.Clear();
    }

    /// <summary>All that wait go on.</summary>
    public void Release()
    {
        (_active, _waiting, _place) = (_waiting, 0, WaitingAt + 1);
        (_apartCount, _limit, WaitingAt) = (0, int.MaxValue, -1);
    }

    /// <summary>Runs until every thread waits at a barrier or has left.</summary>
    public void Run()
    {
        var code = Group.Kernel.Code;
        long left = MostInstructions;
        while (_active != 0)
        {
            ref readonly var i = ref code[_place];
            uint mask = _active;
            if (i.Predicate >= 0)
            {
                uint p = *(uint*)(Registers + i.Predicate);
                mask &= i.Negated ? ~p : p;
            }
            switch (i.Kind)
            {
                case PtxKind.Simple:
                    if (mask != 0)
                    {
                        i.Run(this, i, mask);
                    }
                    _place++;
                    break;
                case PtxKind.Branch:
                    if (mask == _active)
                    {
                        _place = i.Target;
                    }
                    else
                    {
                        _place++;
                        if (mask != 0)
                        {
                            _active &= ~mask;
                            Part(i.Target, mask);
                        }
                    }
                    break;
                case PtxKind.Barrier:
                    if (WaitingAt >= 0 && WaitingAt != _place)
                    {
                        throw Fault($"threads of one warp wait at different barriers (the other at instruction {WaitingAt})");
                    }
                    (WaitingAt, _waiting) = (_place, _waiting | mask);
                    _active &= ~mask;
                    _place++;
                    Choose();
                    break;
                default:
                    Exited |= mask;
                    _active &= ~mask;
                    _place++;
                    if (_active == 0)
                    {
                        Choose();
                    }
                    break;
            }
            if (_place >= _limit)
            {
                Choose();
            }
            if (--left == 0)
            {
                throw Fault("does not end");
            }
        }
    }

    /// <summary>An exception that says where.</summary>
    public PtxFaultException Fault(string what, int lane = -1) => new(
        $"{Group.Kernel.Name}: {what} (instruction {_place} \"{Group.Kernel.Text[Math.Min(_place, Group.Kernel.Text.Length - 1)]}\", group {Group.Index}"
        + (lane < 0 ? $", warp {FirstThread / 32})" : $", thread {FirstThread + lane})"));

    private void Part(int place, uint mask)
    {
        for (int a = 0; a < _apartCount; a++)
        {
            if (_apart[a].Place == place)
            {
                _apart[a].Mask |= mask;
                return;
            }
        }
        _apart[_apartCount++] = (place, mask);
        _limit = Math.Min(_limit, place);
    }

    /// <summary>Goes on with the threads at the lowest place.</summary>
    private void Choose()
    {
        if (_active != 0)
        {
            uint active = _active;
            _active = 0;
            Part(_place, active);
        }
        _limit = int.MaxValue;
        if (_apartCount == 0)
        {
            return;
        }
        int lowest = 0;
        for (int a = 1; a < _apartCount; a++)
        {
            lowest = _apart[a].Place < _apart[lowest].Place ? a : lowest;
        }
        (_place, _active) = _apart[lowest];
        _apart[lowest] = _apart[--_apartCount];
        for (int a = 0; a < _apartCount; a++)
        {
            _limit = Math.Min(_limit, _apart[a].Place);
        }
    }
}
