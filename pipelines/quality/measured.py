"""The one kind of Great Expectations expectation that metric frames need. Importing this module imports Great Expectations.

Its own class instead of `ExpectColumnValuesToBeBetween`: that resolves some fifty metrics for each expectation, most of a
run over hundreds of small suites; this one needs a single metric, and names what is out of bounds.
"""

from typing import Any, ClassVar

from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.execution_engine import ExecutionEngine, PandasExecutionEngine
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.metrics.metric_provider import metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider

from pipelines.quality.expectations import TABLE
from pipelines.quality.result import Finding

NOT_EVALUATED = "chưa có gì để so sánh / nothing to compare yet"


class MeasureValues(TableMetricProvider):
    """The (subject, label, value) triples of one measure; a value that could not be had is None."""

    metric_name = "kho.measure_values"
    value_keys = ("measure",)

    @metric_value(engine=PandasExecutionEngine)
    def _pandas(
        cls,  # noqa: N805 - Great Expectations' convention
        execution_engine: PandasExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any],
    ) -> list[tuple[str, str, float | None]]:
        frame, _, _ = execution_engine.get_compute_domain(metric_domain_kwargs, domain_type=MetricDomainTypes.TABLE)
        own = frame[frame["measure"] == metric_value_kwargs["measure"]]
        values = [None if missing else float(value) for value, missing in zip(own["value"], own["value"].isna(), strict=True)]
        return list(zip(own["subject"], own["label"], values, strict=True))


class ExpectMeasureToStayWithin(BatchExpectation):
    """Every value of a measure lies between two bounds; values that could not be had are named, not judged."""

    measure: str
    low: float | None = None
    high: float | None = None
    unit: str = "rows"

    metric_dependencies: ClassVar[tuple[str, ...]] = ("kho.measure_values",)
    success_keys: ClassVar[tuple[str, ...]] = ("measure", "low", "high", "unit")
    args_keys: ClassVar[tuple[str, ...]] = ("measure", "low", "high", "unit")

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: ExecutionEngine | None = None,
    ) -> dict[str, Any]:
        values = metrics["kho.measure_values"]
        known = [(subject, label, value) for subject, label, value in values if value is not None]
        outside = [(subject, label, value) for subject, label, value in known if not self._allows(value)]
        shown = [str(Finding(label, value, self.unit)) for _, label, value in outside]  # type: ignore[arg-type]  # a Unit as text
        if not known:
            shown = [NOT_EVALUATED]
        return {
            "success": not outside,
            "result": {
                "observed_value": "; ".join(shown) or f"{len(known)} ✓",
                "details": {
                    "measured": len(known),
                    "findings": [[subject, value] for subject, _, value in outside],
                    "unmeasured": [subject for subject, _, value in values if value is None and subject != TABLE],
                },
            },
        }

    def _allows(self, value: float) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)
