"""The Dagster composition root."""

from pipelines.contract import load_register
from pipelines.intake import Intake
from pipelines.orchestration.build import build_defs
from pipelines.settings import settings

intake = Intake(settings(), load_register(settings().register))
defs = build_defs(intake)
