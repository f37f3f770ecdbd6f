"""The command `inversesr bench executors`: what very many scans cost the executor `dask`."""

from dataclasses import asdict
from typing import Annotated

import typer

from inversesr.cli.console import Json, failing_in_one_sentence, print_json


def executors(
    *,
    scans: Annotated[int, typer.Option(help="Number of scans.")] = 1000,
    workers: Annotated[int, typer.Option(help="Number of workers.")] = 20,
    seconds: Annotated[float, typer.Option(help="Mean time that a scan takes.")] = 1.0,
    deaths: Annotated[float, typer.Option(help="Share of tries whose process dies.")] = 0.01,
    as_json: Json = False,
) -> None:
    """Measure what very many scans cost the executor dask.

    The work only sleeps, and sometimes dies. In the middle some workers vanish and others come.
    """
    with failing_in_one_sentence():
        from inversesr.benchmarks.executor_load import Load, measure_load

        cost = measure_load(Load(scans, workers, seconds, deaths))
        if as_json:
            print_json(asdict(cost))
            return
        typer.echo(f"scans       {cost.n_scans} on {cost.n_workers} workers")
        typer.echo(f"told once   {cost.n_once}, {cost.n_set_aside} of them set aside")
        typer.echo(f"time        {cost.seconds:.1f} s, work alone {cost.ideal_seconds:.1f} s")
        typer.echo(
            f"a scan      batch {cost.batch_ms:.2f} ms, scheduler {cost.scheduler_ms:.2f} ms"
        )
        typer.echo(
            f"memory      scheduler {cost.scheduler_mib:.0f} MiB, batch {cost.batch_mib:.0f}"
        )
