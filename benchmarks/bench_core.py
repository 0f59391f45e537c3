"""One fold of one target, at each instruction level: leave-one-out and insertion against numpy and the floor.

python benchmarks/bench_core.py [--level LEVEL] [--rounds N] [--against FOLDER]
"""

from __future__ import annotations

import turns

import cases
import machine


def main() -> None:
    parser = turns.options(__doc__.splitlines()[0], rounds=15)
    levels = machine.simd()[2][::-1]
    parser.add_argument("--level", choices=levels, action="append", help="this level alone; all by default")
    asked = parser.parse_args()
    paper = cases.PAPER
    print(f"{paper.name}: n = {paper.n}, d = {paper.d}, cosine, pearson")
    for level in asked.level or levels:
        groups = [cases.leave_one_out(paper, rank_one=True), cases.insertion_curve(paper, rank_one=True)]
        # numpy chooses its own level: once is enough
        chosen = [
            (group.name, name)
            for group in groups
            for name, way in group.contenders.items()
            if way.ours or level == levels[0] or asked.level
        ]
        print()
        turns.table(chosen, asked.rounds, asked.against, level)


if __name__ == "__main__":
    main()
