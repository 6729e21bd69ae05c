"""A module has a test file of its own name, in the folder of its own; the others are listed with what tests them."""

from __future__ import annotations

import pytest

from tests.support.paths import ROOT

PACKAGES = ("features", "models", "service")
# By the file that tests them: modules that are tested through the one that uses them, or together with their like.
TESTED_BY = {
    "features/families/test_oracle.py": (
        "features.catalogue", "features.families.feature", "features.families.expressions",
        "features.families.audience", "features.families.comments", "features.families.engagement",
        "features.families.niche", "features.families.partnership", "features.families.track_record",
        "features.staging",
    ),
    "features/families/test_promotion.py": ("features.families.arrays", "features.families.scalars"),
    "features/engines/test_compiled.py": ("features.engines.engine",),
    "features/comment_classifier/test_classifier.py": ("features.comment_classifier.training",),
    "features/history/test_source.py": (
        "features.history.contract", "features.history.contract_page", "features.history.files",
        "features.history.databases", "features.engines.duckdb",
    ),
    "features/history/append/test_add.py": (
        "features.history.append.batch", "features.history.append.csv_rows", "features.history.append.duckdb_file",
        "features.history.append.faults", "features.history.append.folder", "features.history.append.log",
        "features.history.append.merge", "features.history.append.parquet_rows", "features.history.append.refused",
        "features.history.row_faults",
    ),
    "features/history/append/test_interrupted.py": (
        "features.history.append.journal", "features.history.append.steps",
    ),
    "features/engines/test_in_spark.py": (
        "features.engines.spark", "features.history.in_spark", "features.history.elsewhere",
    ),
    "models/batch/test_list_scorer.py": ("models.batch.row_scorer",),
    "features/engines/test_in_postgres.py": (
        "features.engines.postgres", "features.history.opening",
    ),
    "features/history/test_contract_faults.py": ("features.history.checks",),
    "features/history/test_keys.py": ("features.history.casting", "features.history.spelling"),
    "features/history/test_far_dates.py": ("features.history.notes",),
    "features/history/test_csv_files.py": ("features.history.stray_rows",),
    "features/history/test_folders.py": ("features.history.parquet_files", "features.history.file_kinds"),
    "features/history/test_mappings.py": ("features.history.mapping_reads", "features.history.mapping_guesses"),
    "features/history/test_replaced_files.py": ("features.history.freshness",),
    "features/history/test_unread.py": ("features.history.score_columns",),
    "commands/test_commands.py": ("models.batch.score_file", "models.batch.tally"),
    "models/batch/test_output_file.py": ("models.batch.aside",),
    "commands/test_door.py": ("models.monitoring.checked",),
    "models/estimators/test_rate.py": ("models.estimators.mixed",),
    "models/estimators/test_fast_trees.py": ("models.estimators.tree_kernel",),
    "models/explanations/test_tree_shap.py": ("models.explanations.tree_text", "models.explanations.shap_kernel"),
    "models/registry/test_gate.py": ("models.registry.window",),
    "models/registry/test_promotion.py": (
        "models.registry.recovery", "models.registry.rollback", "models.registry.version_record",
    ),
    "models/registry/test_moved_store.py": ("models.registry.artifacts", "models.registry.registry"),
    "models/registry/test_store_faults.py": ("models.registry.runs", "models.registry.store"),
    "models/monitoring/test_intake.py": (
        "models.monitoring.batch", "models.monitoring.expectations", "models.monitoring.findings",
        "models.monitoring.level_slips",
    ),
    "models/report/test_report.py": ("models.report.model_card", "models.report.plots", "models.report.summary"),
    "models/studies/test_claims.py": ("models.studies.claim_tests", "models.studies.effects"),
    "commands/test_end_to_end.py": (
        "models.alarms", "models.training_facts",
    ),
    "service/api/test_protocol.py": ("service.api.hosts", "service.api.replies"),
    "service/api/test_requests.py": (
        "service.api.misspelt", "service.api.request_history", "service.api.request_types",
        "service.api.request_values",
    ),
    "service/api/test_schema.py": ("service.api.openapi", "service.api.client_types", "service.api.answers"),
    "service/api/test_app.py": (
        "service.variables", "service.api.responses", "service.publish.batch_path", "service.publish.added_history",
    ),
    "models/newest/test_assembler.py": (
        "models.newest.snapshot", "models.newest.snapshot_builder", "service.publish.parity",
    ),
    "service/publish/test_publication.py": ("service.publish.heartbeat",),
    "service/publish/test_publisher_live.py": ("service.publish.lifeline", "service.publish.batch_process"),
}  # fmt: skip
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("[!_]*.py"))
}
ELSEWHERE = {module: file for file, modules in TESTED_BY.items() for module in modules}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_a_test_file(module: str) -> None:
    path = MODULES[module].relative_to(ROOT)
    own = ROOT / "tests" / path.parent / f"test_{path.name}"
    if own.exists():
        assert module not in ELSEWHERE, "it has a file of its own: take it off the list"
    else:
        assert module in ELSEWHERE, f"write {own.relative_to(ROOT)}, or list what tests it"


def test_the_list_names_what_exists() -> None:
    assert [file for file in TESTED_BY if not (ROOT / "tests" / file).exists()] == []
    assert [module for module in ELSEWHERE if module not in MODULES] == []


def test_helpers_lie_in_support() -> None:
    stray = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("*.py")
        if not path.name.startswith(("test_", "conftest"))
        and path.parent.name != "support"
        and "generated_clients" not in path.parts
    ]
    assert stray == []
