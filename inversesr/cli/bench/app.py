"""The commands `inversesr bench ...`, one file each."""

import typer

from inversesr.cli.bench.anatomy import anatomy
from inversesr.cli.bench.autoencoder import autoencoder
from inversesr.cli.bench.calibration import calibration
from inversesr.cli.bench.default_run import default_run
from inversesr.cli.bench.dwi import dwi
from inversesr.cli.bench.executors import executors
from inversesr.cli.bench.gaps import gaps
from inversesr.cli.bench.kspace import kspace
from inversesr.cli.bench.lesions import lesions
from inversesr.cli.bench.networks import networks
from inversesr.cli.bench.noise import noise
from inversesr.cli.bench.old_spelling import BenchGroup
from inversesr.cli.bench.picture import picture
from inversesr.cli.bench.realism import realism
from inversesr.cli.bench.robustness import robustness
from inversesr.cli.bench.scaling import scaling
from inversesr.cli.bench.series import series
from inversesr.cli.bench.solvers import solvers
from inversesr.cli.bench.spacing import spacing
from inversesr.cli.bench.tasks import tasks

app = typer.Typer(
    cls=BenchGroup,
    help="Measure solvers, priors and networks where the truth is known.",
    rich_markup_mode=None,
)
app.command()(solvers)
app.command()(tasks)
app.command()(robustness)
app.command()(calibration)
app.command()(realism)
app.command()(scaling)
app.command()(autoencoder)
app.command()(networks)
app.command()(default_run)
app.command()(executors)
app.command()(picture)
app.command()(gaps)
app.command()(lesions)
app.command()(series)
app.command()(kspace)
app.command()(dwi)
app.command()(noise)
app.command()(spacing)
app.command()(anatomy)
