"""One run of Great Expectations: a suite and a page of Data Docs per dataset. Importing this module imports it: seconds.

Its project is made anew in memory for each run, and suites come from contracts, so that nothing can drift. Only results
and pages are kept, in ``results/`` and ``docs/`` of one folder.
"""

import html
import shutil
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import great_expectations as gx
import pyarrow as pa
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.data_context import EphemeralDataContext
from great_expectations.data_context.types.base import DataContextConfig, ProgressBarsConfig
from great_expectations.data_context.types.resource_identifiers import ExpectationSuiteIdentifier, ValidationResultIdentifier

from pipelines.quality.expectations import Expectation
from pipelines.quality.measured import ExpectMeasureToStayWithin

KEPT_PAGES = 30
"""Runs per dataset whose pages stay; `kho.expectations` keeps the results of all."""

VIEW = "pipelines.quality.data_docs.view"
STYLE = Path(__file__).parent / "data_docs" / "data-docs.css"


class ExpectationCannotRun(Exception):
    """Great Expectations could not evaluate an expectation: a broken system, not bad data."""


@dataclass(frozen=True)
class Verdict:
    """What Great Expectations says of one expectation; ``measured`` counts the values that could be had."""

    success: bool
    measured: int
    findings: tuple[tuple[str, float], ...]
    unmeasured: tuple[str, ...]
    page: str
    """The page of Data Docs, below the site's root."""


def validate(
    folder: Path, suites: Mapping[str, tuple[Expectation, ...]], frame: pa.Table, run_id: str, now: datetime, listed: int
) -> dict[tuple[str, str], Verdict]:
    """Hold each dataset's slice of the metric frame against its suite; verdicts by dataset and name of the expectation.

    Writes Data Docs below ``folder``; their index lists the newest ``listed`` results. Raises `ExpectationCannotRun`.
    """
    context = _project(folder, listed)
    batches = context.data_sources.add_pandas("kho").add_dataframe_asset("measures").add_batch_definition_whole_dataframe("dataset")
    run = RunIdentifier(run_name=run_id, run_time=now.replace(tzinfo=UTC))
    slices = dict(iter(frame.to_pandas().groupby("dataset")))
    nothing = frame.schema.empty_table().to_pandas()
    verdicts: dict[tuple[str, str], Verdict] = {}
    keys: list[Any] = []
    for dataset, expectations in suites.items():
        suite = context.suites.add(gx.ExpectationSuite(name=dataset.replace("/", "."), expectations=list(map(_expectation, expectations))))
        definition = context.validation_definitions.add(gx.ValidationDefinition(name=suite.name, data=batches, suite=suite))
        outcome = definition.run(batch_parameters={"dataframe": slices.get(dataset, nothing)}, run_id=run)
        suite_key = ExpectationSuiteIdentifier(name=suite.name)
        key = ValidationResultIdentifier(expectation_suite_identifier=suite_key, run_id=run, batch_identifier=outcome.batch_id)
        keys += [suite_key, key]
        for result in outcome.results:
            name = result.expectation_config.meta["name"]  # type: ignore[union-attr]  # a result of ours has one
            verdicts[dataset, name] = _verdict(dataset, name, result, f"validations/{'/'.join(key.to_tuple())}.html")
    _forget_old_results(context)
    context.build_data_docs(resource_identifiers=keys)
    static = folder / "docs" / "static"
    shutil.rmtree(static)  # Great Expectations' own fonts and images, which the pages do not use
    static.mkdir()
    shutil.copy(STYLE, static)
    return verdicts


def _project(folder: Path, listed: int) -> EphemeralDataContext:
    files = lambda name: {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder / name)}
    section = lambda store, renderer: {
        "class_name": "DefaultSiteSectionBuilder",
        "source_store_name": store,
        "renderer": {"module_name": "great_expectations.render.renderer.page_renderer", "class_name": renderer},
        "view": {"module_name": VIEW, "class_name": "PageView"},
    }
    config = DataContextConfig(
        analytics_enabled=False,  # nothing is sent anywhere
        progress_bars=ProgressBarsConfig(globally=False),
        expectations_store_name="suites",
        validation_results_store_name="results",
        checkpoint_store_name="checkpoints",
        stores={
            "suites": {"class_name": "ExpectationsStore"},
            "checkpoints": {"class_name": "CheckpointStore"},
            "validation_definition_store": {"class_name": "ValidationDefinitionStore"},
            "results": {"class_name": "ValidationResultsStore", "store_backend": files("results")},
        },
        data_docs_sites={
            "docs": {
                "class_name": "SiteBuilder",
                "show_how_to_buttons": False,
                "store_backend": files("docs"),
                "site_section_builders": {
                    "expectations": section("suites", "ExpectationSuitePageRenderer"),
                    "validations": section("results", "ValidationResultsPageRenderer"),
                },
                "site_index_builder": {
                    "class_name": "DefaultSiteIndexBuilder",
                    "validation_results_limit": listed,
                    "view": {"module_name": VIEW, "class_name": "IndexView"},
                },
            }
        },
    )
    return gx.get_context(mode="ephemeral", project_config=config)


def _expectation(expectation: Expectation) -> ExpectMeasureToStayWithin:
    text = html.escape(f"{expectation.vi} / {expectation.en}")  # Data Docs take a description for HTML
    return ExpectMeasureToStayWithin(
        measure=expectation.measure,
        low=expectation.low,
        high=expectation.high,
        unit=expectation.unit,
        description=text,
        meta={"name": expectation.name},
    )


def _verdict(dataset: str, name: str, result: Any, page: str) -> Verdict:
    if result.exception_info.get("raised_exception") is not False:
        raise ExpectationCannotRun(f"{dataset}: {name}: {result.exception_info}")
    details = result.result["details"]
    findings = tuple((subject, value) for subject, value in details["findings"])
    return Verdict(bool(result.success), details["measured"], findings, tuple(details["unmeasured"]), page)


def _forget_old_results(context: EphemeralDataContext) -> None:
    """Drop results beyond `KEPT_PAGES` per dataset; building the site drops the pages that have lost theirs."""
    results = context.validation_results_store
    by_suite: dict[str, list[Any]] = defaultdict(list)
    found: list[Any] = results.list_keys()
    for key in found:
        by_suite[key.expectation_suite_identifier.name].append(key)
    for keys in by_suite.values():
        for key in sorted(keys, key=lambda k: k.run_id.run_time, reverse=True)[KEPT_PAGES:]:
            results.remove_key(key)
