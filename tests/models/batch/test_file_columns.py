"""Which columns of a file of scores `--columns` chooses, and what it is refused for."""

from __future__ import annotations

import pytest

from features.faults import InputError
from models.batch.file_columns import check_call, chosen_columns, every_column, named_columns

OWN = ("note", "candidate_id", "creator_id", "spend")


def test_without_the_option_a_file_has_all() -> None:
    assert named_columns(None) is None
    assert chosen_columns(None, OWN, target=False) == every_column(OWN, target=False)
    names = every_column(OWN, target=True).names
    assert names[:4] == OWN
    assert "walk_away_price" in names
    assert "walk_away_price" not in every_column(OWN, target=False).names


def test_named_columns_stand_in_their_usual_order_beside_the_candidate() -> None:
    chosen = chosen_columns(named_columns("rank, spend,rank,conversions"), OWN, target=False)
    assert chosen.names == ("candidate_id", "spend", "conversions", "rank")
    assert chosen.has("rank")
    assert chosen.has("reasons", "conversions")
    assert not chosen.has("reasons", "spend")


def test_unknown_names_are_one_fault_with_the_known_ones() -> None:
    with pytest.raises(InputError) as found:
        chosen_columns(("rank", "Spend", "price", "Spend"), OWN, target=False)
    assert str(found.value) == (
        "--columns: they are neither a column of the candidates nor a score: received Spend, price. Known are note, "
        "candidate_id, creator_id, spend, conversions_per_dollar, conversions_per_dollar_low, "
        "conversions_per_dollar_high, conversions, cost_per_conversion, rank, reasons, warnings, model_version."
    )
    with pytest.raises(InputError, match=r"it is neither .* need --target-cost\.$"):
        chosen_columns(("rank", "walk_away_price"), OWN, target=False)
    assert chosen_columns(("walk_away_price",), OWN, target=True).scores == ("walk_away_price",)


@pytest.mark.parametrize("text", ["", "rank,", "rank,,spend", " "])
def test_an_empty_name_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^--columns: a name is empty: received"):
        named_columns(text)


def test_what_contradicts_other_options_is_refused_a_fault_each() -> None:
    def faults(text: str | None, target: bool = False, reasons: bool = False, ledger: bool = False) -> list[str]:
        try:
            check_call(named_columns(text), target=target, reasons=reasons, ledger=ledger)
        except InputError as error:
            return str(error).splitlines()
        return []

    assert faults(None, target=True, reasons=True, ledger=True) == []
    assert faults("conversions_per_dollar_low,reasons,spend") == []
    (sealed,) = faults("conversions_per_dollar_low,rank", ledger=True)
    assert "--columns: the ledger seals conversions_per_dollar, conversions_per_dollar_high, left out here" in sealed
    promised = "conversions_per_dollar,conversions_per_dollar_low,conversions_per_dollar_high"
    assert faults(promised, ledger=True) == []
    assert len(faults("spend,note")) == 1
    none, sealed, target, reasons = faults("spend", target=True, reasons=True, ledger=True)
    assert none.startswith("--columns: no score is among them: received spend. Name at least one of conversions_per_")
    assert sealed.startswith("--columns: the ledger seals ")
    assert target.startswith("--target-cost: none of its columns is among --columns. Name probability_within_target or")
    assert reasons.startswith("--reasons: the column reasons is not among --columns. ")
    assert faults("walk_away_price,reasons", target=True, reasons=True) == []
