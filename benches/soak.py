"""Bridged calls for minutes: does the bridge's memory stay as it is?"""

from __future__ import annotations

from . import calls
from .calls import OURS
from .figures import Table, count, ms
from .machine import two_cores
from .options import Options

_MIB = 1 << 20


def run(options: Options) -> list[Table]:
    """One row a minute, and at the end what became of the frames."""
    seconds, every, size = (3.0, 1.0, 5) if options.quick else (options.minutes * 60, 60.0, options.calls)
    result = calls.run(OURS, size, seconds, two_cores(options.pin), look_every=every)
    table = Table(f"{size} bridged calls for {seconds / 60:.3g} minutes", ["after s", "memory MiB", "+ KiB", "cores"])
    looks: list[tuple[float, int, float]] = result["looks"]
    for before, now in zip([looks[0], *looks], looks, strict=False):
        passed = now[0] - before[0]
        cores = f"{(now[2] - before[2]) / passed:.2f}" if passed else "–"
        table.add(
            [f"{now[0]:.0f}", f"{now[1] / _MIB:.2f}", f"{(now[1] - before[1]) / 1024:.0f}", cores],
            seconds=now[0],
            rss=now[1],
            cpu=now[2],
        )
    half = looks[len(looks) // 2]
    growth = (looks[-1][1] - half[1]) / 1024
    off = result["deviation"]
    table.notes.append(
        f"{result['sent']} frames sent, {count(result['lost'])} lost, {count(result['extra'])} more than sent, "
        f"{count(result['late'])} late, {result['wrong']} of {result['probed']} wrong; off 20 ms: p50 {ms(off['p50'])}, "
        f"p99 {ms(off['p99'])}, at most {ms(off['max'])} ms. Memory grew by {growth:.0f} KiB in the last "
        f"{looks[-1][0] - half[0]:.0f} s. Load generator: {result['own_cpu']:.2f} of a core, "
        f"{ms(result['own_lateness']['p99'])} ms late at p99{', which is too late' if calls.spoiled(result) else ''}. "
        f"{options.pinned}"
    )
    told = result["audio"]
    table.notes.append(
        f"The bridge itself: {count(told['media_lost'])} chunks never came, {count(told['media_frames_sent'])} frames sent; of each "
        f"leg's audio it left out or repeated {told['media_adjusted_ms'] / (2 * size):.0f} ms to correct the delay, discarded "
        f"{told['media_discarded_ms'] / (2 * size):.0f} ms, did not send {told['media_dropped_ms'] / (2 * size):.0f} ms because the "
        f"peer was too slow, made up {told['media_concealed_ms'] / (2 * size):.0f} ms (means)."
    )
    table.values[-1].update(growth_kib=growth, **result)
    return [table]
