"""Contract → one Dagster asset: its specification, its step, its checks."""

from collections.abc import Iterator

import dagster as dg

from pipelines.contract import Column, Contract, Register
from pipelines.intake import Intake
from pipelines.outcome import Outcome

GATE_CHECK = "hang_dat"
"""The check that every asset has: all rows of the newest delivery were accepted."""

RETRIES = dg.RetryPolicy(max_retries=3, delay=2, backoff=dg.Backoff.EXPONENTIAL)
"""For infrastructure only: bad data is a result and raises nothing."""

SHOWN_REASONS = 50


def asset_key(contract: Contract) -> dg.AssetKey:
    """The asset's key is the dataset's name in SQL."""
    return dg.AssetKey([contract.schema, contract.table])


def table_schema(contract: Contract) -> dg.TableSchema:
    def constraints(column: Column) -> dg.TableColumnConstraints:
        other = [f"{column.minimum} …"] if column.minimum is not None else []
        other += [f"… {column.maximum}"] if column.maximum is not None else []
        other += ["closed list"] if column.values else []
        return dg.TableColumnConstraints(nullable=not column.required, unique=column.unique, other=other)

    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                c.name,
                c.sql_type,
                description=f"{c.title} / {c.title_en}. {c.description}",
                constraints=constraints(c),
                tags={"personal": c.personal} | ({"semantic": c.semantic} if c.semantic else {}),
            )
            for c in contract.columns
        ]
    )


def build_asset(intake: Intake, contract: Contract, catalogue_url: str) -> dg.AssetsDefinition:
    register = intake.register
    agency = register.agencies[contract.agency]
    kind = {"derived": "sql", "reference": "csv"}.get(contract.kind, contract.delivery)

    @dg.asset(
        key=asset_key(contract),
        deps=[asset_key(register.contracts[source]) for source in register.upstream.get(contract.id, ())],
        group_name=contract.schema,
        owners=[f"team:{contract.agency}"],
        kinds={"duckdb", kind},
        tags={
            "cycle": contract.cycle,
            "access": contract.access,
            "personal": contract.personal,
            "agency": contract.agency,
            "kind": contract.kind,
        },
        description=_description(register, contract),
        metadata={
            "dagster/column_schema": table_schema(contract),
            "dagster/table_name": contract.sql_name,
            "catalogue": dg.MetadataValue.url(f"{catalogue_url}/datasets/{contract.id}"),
            "contract": dg.MetadataValue.path(str(contract.file)),
            "agency": agency.name,
        },
        check_specs=[
            dg.AssetCheckSpec(GATE_CHECK, asset=asset_key(contract), description="Mọi hàng của đợt giao đạt hợp đồng / all rows accepted"),
            *(dg.AssetCheckSpec(c.name, asset=asset_key(contract), description=f"{c.vi} / {c.en}") for c in contract.checks),
        ],
        retry_policy=RETRIES,
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=contract.promised_within) if contract.promised_within else None,
    )
    def step(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        outcomes = intake.take(contract.id, context.run_id)
        last = outcomes[-1]
        for outcome in outcomes:
            context.log.info(f"{contract.id}: {outcome.file_name or 'no new delivery'}: {outcome.verdict}")
        yield dg.MaterializeResult(metadata=_metadata(outcomes))
        yield from _check_results(contract, last)

    return step


def _description(register: Register, contract: Contract) -> str:
    return f"**{contract.title}** / {contract.title_en}\n\n{contract.purpose}\n\n{contract.description_en}\n\n" + (
        f"Cơ quan chủ quản: {register.agencies[contract.agency].name}. Mức chia sẻ: {contract.access}."
    )


def _metadata(outcomes: list[Outcome]) -> dict[str, dg.MetadataValue]:
    last = outcomes[-1]
    metadata: dict[str, dg.MetadataValue] = {"verdict": dg.MetadataValue.text(last.verdict)}
    if last.verdict == "unchanged":
        return metadata
    metadata |= {
        "dagster/row_count": dg.MetadataValue.int(last.rows_total),
        "deliveries": dg.MetadataValue.int(len(outcomes)),
        "rows_accepted": dg.MetadataValue.int(sum(o.rows_accepted for o in outcomes)),
        "rows_quarantined": dg.MetadataValue.int(sum(o.rows_quarantined for o in outcomes)),
        "file": dg.MetadataValue.text(last.file_name),
        "synthetic": dg.MetadataValue.bool(last.synthetic),
    }
    if last.release is not None:
        metadata["release"] = dg.MetadataValue.int(last.release)
    return metadata


def _check_results(contract: Contract, outcome: Outcome) -> Iterator[dg.AssetCheckResult]:
    """The gate's verdict and the contract's checks as they stand: of this delivery, or of the last one judged."""
    refused = outcome.standing == "refused"
    yield dg.AssetCheckResult(
        check_name=GATE_CHECK,
        passed=outcome.standing == "accepted",
        severity=dg.AssetCheckSeverity.ERROR if refused else dg.AssetCheckSeverity.WARN,
        metadata={
            "rows_read": outcome.rows_read,
            "rows_quarantined": outcome.rows_quarantined,
            "standing": outcome.standing or "no delivery yet",
            "reasons": dg.MetadataValue.json(
                [f"{r.column} · {r.rule} × {r.count}: {r.vi} / {r.en}" for r in outcome.reasons[:SHOWN_REASONS]]
            ),
        },
    )
    results = {check.name: check for check in outcome.checks}
    for check in contract.checks:
        result = results.get(check.name)
        yield dg.AssetCheckResult(
            check_name=check.name,
            passed=bool(result and result.passed),
            metadata={"violations": result.violations} if result else {"not run": "no release yet"},
        )
