"""Dagster around the pipeline: contract → asset and checks, schedules, sensor. The only place that imports Dagster."""
