"""Years later: from the trail alone, was each privileged operation approved by enough operators?

The command line and the separate verifier judge every trail here; they must agree on the record and
on the reason, and the reason must be the expected one.
"""

import copy
import json
import subprocess
import sys

import pytest
from harness import BIN, UNVERIFIED, USAGE, VERIFY_AUDIT
from operators import Meanwhile, pending, settled, team
from step_up_trail import ATTESTED, ENGAGEMENT, EXTENDED, GATEWAY, TENANT, TOUCHED, VAULT_LOG, VERIFIED, Operator, Story
from step_up_trail import approval_head, card_approval, operation_hash, text_of

ALICE, BOB, CAROL, DAVE, MALLORY = (Operator(name) for name in ("alice", "bob", "carol", "dave", "mallory"))
ALICE_SPARE = Operator("alice", "alice's second key")
TENANT_OPERATION = f"tenant={TENANT.hex()} engagement={ENGAGEMENT}"


def vault_story():
    """Three operators with a quorum of two; then every operation of the vault's log."""
    story = Story(VAULT_LOG).add("vault.created", vault_id="00" * 16, region="eu1", quorum=2)
    for share, operator in enumerate((ALICE, BOB, CAROL), 1):
        story.add("operator.enrolled", **operator.enrolled(share))
    story.add("certificate.issued", actor="local")
    spare = text_of("operator.add", 1, f"operator=alice slot={ALICE_SPARE.slot} public_key={ALICE_SPARE.public_key}")
    story.operation(spare, [ALICE, BOB], "operator.enrolled", **ALICE_SPARE.enrolled(1))
    story.operation(text_of("rekey.database", 2), [CAROL], "rekey.begun", what="database")
    dave = text_of("operator.add", 3, f"operator=dave slot={DAVE.slot} public_key={DAVE.public_key}")
    story.operation(dave, [ALICE_SPARE, CAROL], "operator.enrolled", **DAVE.enrolled(4))
    story.operation(text_of("quorum.set", 4, "number=3"), [DAVE, BOB], "quorum.changed", quorum=3)
    story.add("rekey.done", what="root", epoch=2, happened=story.time(len(story.records)), journal=9)
    story.operation(text_of("rekey.root", 5), [ALICE, BOB, CAROL], "rekey.begun", what="root", epoch=3)
    removed = text_of("operator.remove", 6, "operator=carol slot=all")
    story.operation(removed, [ALICE, BOB, DAVE], "operator.removed", operator="carol", number=1)
    cards = text_of("card.renew", 7, "number=2 recovery_key=" + "ab" * 32)
    story.add("operation.proposed", proposal=cards).add("operation.approved", **card_approval(cards, 1, 3))
    story.add("operation.approved", **BOB.approval(cards, 2, 3)).add("operation.approved", **ALICE.approval(cards, 3, 3))
    return story.add("cards.renewed", operation=operation_hash(cards).hex(), cards=2)


def tenant_story():
    """A tenant's log: it begins when the vault's has three operators and a quorum of two."""
    story = Story(TENANT, step_us=1, start_us=Story(VAULT_LOG).start_us + 4 * 60 * 1000000 + 1)
    story.add("tenant.created", tenant_id=TENANT.hex()).add("grant.added", gateway_id=GATEWAY, pattern="old")
    story.operation(text_of("hold.set", 11, TENANT_OPERATION), [ALICE, BOB], "engagement.held", engagement_id=ENGAGEMENT)
    story.operation(text_of("hold.lift", 12, TENANT_OPERATION), [BOB, CAROL], "engagement.lifted", engagement_id=ENGAGEMENT)
    story.operation(text_of("purge.now", 13, TENANT_OPERATION), [ALICE, CAROL], "purge.hastened", engagement_id=ENGAGEMENT)
    story.operation(text_of("rekey.tenant", 14, f"tenant={TENANT.hex()}"), [BOB], "rekey.begun", what="tenant", epoch=2)
    members = f"tenant={TENANT.hex()} gateway={GATEWAY} key=openai-* max_ttl="
    story.operation(text_of("grant.add", 15, members + "900"), [BOB], "grant.added",
                    gateway_id=GATEWAY, gateway="edge", pattern="openai-*", max_ttl_s=900)  # fmt: skip
    story.operation(text_of("policy.set", 17, f"tenant={TENANT.hex()} document={'cd' * 32}"), [ALICE], "policy.set",
                    document="cd" * 32, policy_version=2, change="widens")  # fmt: skip
    return story.operation(text_of("grant.add", 16, members + "0"), [CAROL], "grant.added",
                           gateway_id=GATEWAY, gateway="edge", pattern="openai-*")  # fmt: skip


@pytest.fixture
def judge(tmp_path):
    """What both verifiers say: None, or (log, record, reason)."""

    def run(story, vault=None, enclosed=None):
        options = ["--step-ups"]
        bundle = story.bundle(tmp_path / "trail.jsonl", enclosed)
        if vault is not None:
            options += ["--vault-bundle", vault.bundle(tmp_path / "vault.jsonl")]
        ours = by_command(tmp_path, bundle, *options)
        theirs = by_script(bundle, *options)
        assert ours == theirs, "the two verifiers disagree"
        return ours

    return run


def command(tmp_path, *arguments):
    return subprocess.run([BIN / "strongroom", "--profile", tmp_path / "none", *arguments],
                          capture_output=True, text=True, timeout=60, check=False)  # fmt: skip


def by_command(tmp_path, bundle, *options):
    done = command(tmp_path, "--json", "audit", "verify", "--bundle", bundle, *options)
    assert done.returncode in (0, UNVERIFIED), done.stderr
    verdict = json.loads(done.stdout)
    assert verdict["verified"] == (done.returncode == 0)
    return None if verdict["verified"] else (verdict["log"], verdict["bad_seq"], verdict["reason"])


def by_script(bundle, *options):
    done = subprocess.run([sys.executable, VERIFY_AUDIT, bundle, *options], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, 1), done.stderr
    if done.returncode == 0:
        return None
    place, reason = done.stdout.removeprefix("BAD ").rstrip("\n").split(": ", 1)
    log = "vault" if place.startswith("vault ") or json.loads(bundle.read_bytes().splitlines()[0])["name"] == "vault" else "acme"
    return log, int(place.split(" ")[-1]), reason


def changed(story, seq, **fields):
    """The story with some fields of one record changed; None takes a field away."""
    other = copy.deepcopy(story)
    kind, old = other.records[seq]
    other.records[seq] = (kind, {name: value for name, value in {**old, **fields}.items() if value is not None})
    return other


# --- what is good --------------------------------------------------------------------------------------


def test_a_trail_whose_operations_were_all_approved_verifies(judge):
    assert judge(vault_story()) is None
    assert judge(tenant_story()) is None
    assert judge(tenant_story(), vault_story()) is None


def test_the_records_of_operators_in_a_bundle_say_whose_keys_they_are(judge, tmp_path):
    assert judge(tenant_story(), enclosed=vault_story()) is None
    for ask in (command(tmp_path, "audit", "verify", "--bundle", tmp_path / "trail.jsonl", "--step-ups"),
                subprocess.run([sys.executable, VERIFY_AUDIT, tmp_path / "trail.jsonl", "--step-ups"],
                               capture_output=True, text=True, timeout=60, check=False)):  # fmt: skip
        assert "signed by the operators' enrolled keys" in ask.stdout
    first = tenant_story().find("operation.approved")
    stranger = changed(tenant_story(), first, operator="mallory")
    assert judge(stranger, enclosed=vault_story()) == ("acme", first, "slot has another operator or key")
    story = tenant_story()
    text = text_of("rekey.tenant", 60, f"tenant={TENANT.hex()}")
    story.operation(text, [MALLORY], "rekey.begun", what="tenant", epoch=3)
    assert judge(story, enclosed=vault_story()) == ("acme", len(story.records) - 2, "slot was not enrolled then")
    late = tenant_story()
    late.start_us += 10 * 24 * 3600 * 1000000
    assert judge(late, enclosed=vault_story()) == ("acme", first, "fewer approvals were asked for than the quorum")


def test_records_of_operators_in_a_bundle_that_do_not_fit_each_other_are_found_in_the_vaults_log(judge):
    vault = vault_story()
    twice = changed(vault, 2, slot_id=ALICE.slot)
    assert judge(tenant_story(), enclosed=twice) == ("vault", 2, "slot is enrolled twice")
    gone = vault.find("operator.removed")
    stranger = changed(tenant_story(), tenant_story().find("operation.approved"), operator="mallory")
    assert judge(stranger, enclosed=changed(vault, gone, number=2)) == ("vault", gone, "no such keys to remove")
    assert judge(vault, enclosed=twice) == ("vault", 2, "slot is enrolled twice")
    assert judge(vault, enclosed=vault) is None
    # The vault's whole log, if it is given, counts instead.
    assert judge(tenant_story(), vault, enclosed=twice) is None


def test_a_bundle_need_not_be_a_file_to_be_held_against_its_own_records_of_operators(tmp_path):
    story = tenant_story()
    story = changed(story, story.find("operation.approved"), operator="mallory")
    bundle = story.bundle(tmp_path / "trail.jsonl", vault_story())
    done = subprocess.run([BIN / "strongroom", "--profile", tmp_path / "none", "audit", "verify", "--bundle",
                           "/dev/stdin", "--step-ups"], input=bundle.read_bytes(), capture_output=True, timeout=60,
                          check=False)  # fmt: skip
    assert done.returncode == UNVERIFIED and b"record 3: slot has another operator or key" in done.stderr


def test_the_summary_says_what_was_approved_by_whom_and_what_rests_on_the_keepers_word(tmp_path):
    bundle = vault_story().bundle(tmp_path / "vault.jsonl")
    said = json.loads(command(tmp_path, "--json", "audit", "verify", "--bundle", bundle, "--step-ups").stdout)["step_ups"]
    assert {name: said[name] for name in ("operations", "approvals", "signatures", "cards", "enrolled")} == {
        "operations": 7, "approvals": 16, "signatures": 15, "cards": 1, "enrolled": True}  # fmt: skip
    assert [(one["operation"], one["approved_by"]) for one in said["done"]] == [
        ("operator.add", "alice, bob"), ("rekey.database", "carol"), ("operator.add", "alice, carol"),
        ("quorum.set", "dave, bob"), ("rekey.root", "alice, bob, carol"), ("operator.remove", "alice, bob, dave"),
        ("card.renew", "recovery card, bob, alice")]  # fmt: skip
    text = command(tmp_path, "audit", "verify", "--bundle", bundle, "--step-ups").stdout
    assert "15 approvals signed by the operators' enrolled keys" in text
    assert "1 approvals by recovery card: no signature, the keeper's word" in text
    bundle = tenant_story().bundle(tmp_path / "acme.jsonl")
    done = command(tmp_path, "audit", "verify", "--bundle", bundle, "--step-ups")
    assert "the keys that they name" in done.stdout and "--vault-bundle" in done.stderr
    assert "1 grants took no step-up" in done.stdout


def test_approvals_that_led_to_nothing_are_no_fault(judge):
    text = text_of("rekey.root", 50)
    story = vault_story().add("operation.approved", **ALICE.approval(text, 1, 3))
    assert judge(story.add("vault.locked", reason="command").add("operation.approved", **ALICE.approval(text, 1, 3))) is None


# --- every field of an approval ------------------------------------------------------------------------

NEXT_DIGIT = str.maketrans("0123456789abcdef", "123456789abcdef0")


def flipped(value):
    """The value with one character changed: at the ends, in the middle, and one of each class."""
    places = {0, len(value) // 2, len(value) - 1}
    for kind in (str.isdigit, str.isalpha, lambda c: c in " ", lambda c: c in "=.", str.isspace):
        places |= {next((at for at, c in enumerate(value) if kind(c)), 0)}
    for at in sorted(places):
        yield value[:at] + (value[at].translate(NEXT_DIGIT) if value[at] in "0123456789abcdef" else "x") + value[at + 1 :]


REASONS = {
    "operation": {"operation is not the hash of its text"},
    "text": {"operation is not the hash of its text"},
    "context": {"assertion is not signed by this key"},
    "auth_data": {"assertion is for another relying party", "assertion is not signed by this key",
                  "assertion was made without a touch", "assertion has other extensions than hmac-secret"},
    "signature": {"assertion is not signed by this key"},
    "public_key": {"assertion is malformed", "assertion is not signed by this key"},
    "slot_id": {"slot was not enrolled then"},
    "operator": {"slot has another operator or key"},
}  # fmt: skip


@pytest.mark.parametrize("which", [0, 3, 15])
@pytest.mark.parametrize("field", REASONS)
def test_a_changed_character_in_an_approval_is_found(judge, field, which):
    story = vault_story()
    seq = story.find("operation.approved", which)
    for value in flipped(story.records[seq][1][field]):
        log, bad, reason = judge(changed(story, seq, **{field: value}))
        assert (log, bad) == ("vault", seq)
        assert reason in REASONS[field]


@pytest.mark.parametrize("field", REASONS)
def test_a_changed_character_in_an_approval_of_a_tenants_log_is_found_with_the_vaults(judge, field):
    story, vault = tenant_story(), vault_story()
    seq = story.find("operation.approved", 2)
    for value in flipped(story.records[seq][1][field]):
        log, bad, reason = judge(changed(story, seq, **{field: value}), vault)
        assert (log, bad) == ("acme", seq)
        assert reason in REASONS[field]


def test_in_a_tenants_log_alone_a_slot_keeps_its_operator_and_key(judge):
    story = tenant_story()
    seq = story.find("operation.approved", 2)
    assert judge(changed(story, seq, operator="eve")) == ("acme", seq, "slot has another operator or key")
    # A key that nobody enrolled is a key like others, as long as the vault's log is not there.
    text = text_of("rekey.tenant", 60, f"tenant={TENANT.hex()}")
    story.operation(text, [MALLORY], "rekey.begun", what="tenant", epoch=3)
    assert judge(story) is None
    assert judge(story, vault_story()) == ("acme", story.find("operation.approved", -1), "slot was not enrolled then")


@pytest.mark.parametrize("field,value,reason", [
    ("have", 1, "operator has approved already"), ("have", 3, "approvals are not counted one by one"),
    ("have", 0, "approval is malformed"), ("have", "2", "approval is malformed"), ("have", 65, "approval is malformed"),
    ("need", 1, "fewer approvals were asked for than the quorum"), ("need", 0, "approval is malformed"),
    ("need", 3, "too few operators have approved"), ("need", None, "approval is malformed"),
], ids=str)  # fmt: skip
def test_a_changed_count_is_found(judge, field, value, reason):
    story = vault_story()
    seq = story.find("operation.approved", 1)
    log, bad, why = judge(changed(story, seq, **{field: value}))
    if (field, value) == ("have", 1):  # counted anew: then too few have approved
        assert (bad, why) == (seq + 1, "too few operators have approved")
    elif (field, value) == ("need", 3):
        assert (bad, why) == (seq + 1, reason)
    else:
        assert (log, bad, why) == ("vault", seq, reason)


@pytest.mark.parametrize("fields,reason", [
    ({"operation": None}, "approval is malformed"), ({"text": None}, "approval is malformed"),
    ({"slot_id": None}, "approval is malformed"), ({"operator": None}, "approval is malformed"),
    ({"public_key": None}, "approval is malformed"), ({"context": None}, "approval is malformed"),
    ({"auth_data": None}, "approval has no signature"), ({"signature": None}, "approval has no signature"),
    ({"auth_data": None, "signature": None, "recovery": True}, "approval has no signature"),
    ({"public_key": None, "recovery": True}, "slot is no recovery card"),
    ({"public_key": "04" + "00" * 63}, "assertion is malformed"), ({"public_key": 7}, "approval is malformed"),
    ({"context": "00"}, "approval is malformed"), ({"signature": ""}, "assertion has the wrong size"),
    ({"signature": "0"}, "approval is malformed"), ({"signature": "zz"}, "approval is malformed"),
    ({"signature": "00" * 129}, "assertion has the wrong size"), ({"signature": "00" * 128}, "assertion is not signed by this key"),
    ({"auth_data": "00" * 36}, "assertion has the wrong size"), ({"auth_data": "00" * 513}, "assertion has the wrong size"),
], ids=str)  # fmt: skip
def test_a_missing_or_malformed_field_is_found(judge, fields, reason):
    story = vault_story()
    seq = story.find("operation.approved")
    assert judge(changed(story, seq, **fields)) == ("vault", seq, reason)


@pytest.mark.parametrize("shape,reason", [
    ({"relying_party": "strongroon"}, "assertion is for another relying party"),
    ({"flags": VERIFIED | EXTENDED}, "assertion was made without a touch"),
    ({"flags": TOUCHED | EXTENDED}, "assertion was made without user verification"),
    ({"flags": TOUCHED | VERIFIED}, "assertion has other extensions than hmac-secret"),
    ({"flags": TOUCHED | VERIFIED | EXTENDED | ATTESTED}, "assertion has other extensions than hmac-secret"),
    ({"sealed": 32}, "assertion has other extensions than hmac-secret"), ({"sealed": 64}, None),
], ids=str)  # fmt: skip
def test_a_signed_assertion_of_another_shape_is_no_approval(judge, shape, reason):
    text = text_of("rekey.database", 70)
    story = vault_story().add("operation.approved", **ALICE.approval(text, 1, 1, **shape))
    assert judge(story) == (reason and ("vault", len(story.records) - 1, reason))


# --- who, how many, how often --------------------------------------------------------------------------


def test_an_operation_lacking_one_approval_was_not_approved(judge):
    story = vault_story()
    for which, reason in ((0, "approvals are not counted one by one"), (1, "too few operators have approved")):
        other = copy.deepcopy(story)
        seq = story.find("operation.approved", which)
        del other.records[seq]
        assert judge(other)[1:] == (seq, reason)
    one = story.find("rekey.begun") - 1
    del story.records[one]
    assert judge(story) == ("vault", one, "operation was not approved")


def test_approvals_serve_one_effect(judge):
    story = tenant_story()
    held = story.find("engagement.held")
    story.records.insert(held + 1, story.records[held])
    assert judge(story) == ("acme", held + 1, "approvals were used before")
    for earlier in (held - 1, held - 2):
        other = copy.deepcopy(story)
        other.records.insert(held + 1, story.records[earlier])
        assert judge(other) == ("acme", held + 1, "approval repeats an earlier one")
    text = story.records[held - 1][1]["text"]
    story.records.insert(held + 1, ("operation.approved", CAROL.approval(text, 3, 2)))
    assert judge(story) == ("acme", held + 1, "approvals are not counted one by one")


def test_approvals_in_another_order_are_not_those_that_the_keeper_counted(judge):
    story = vault_story()
    seq = story.find("operation.approved")
    story.records[seq], story.records[seq + 1] = story.records[seq + 1], story.records[seq]
    assert judge(story) == ("vault", seq, "approvals are not counted one by one")


def test_the_assertion_of_another_approval_is_none_of_this_one(judge):
    story = vault_story()
    seq, other = story.find("operation.approved"), story.find("operation.approved", 1)
    taken = {name: story.records[other][1][name] for name in ("auth_data", "signature")}
    assert judge(changed(story, seq, **taken)) == ("vault", seq, "assertion is not signed by this key")


def test_an_approval_for_another_text_is_none_for_this_one(judge):
    story = vault_story()
    seq = story.find("operation.approved")
    text = text_of("quorum.set", 80, "number=1")
    renamed = changed(story, seq, text=text, operation=operation_hash(text).hex())
    assert judge(renamed) == ("vault", seq, "assertion is not signed by this key")
    story.records[seq] = ("operation.approved", ALICE.approval(text, 1, 2))
    assert judge(story) == ("vault", seq + 1, "approvals are not counted one by one")


def test_one_operator_is_one_however_many_keys(judge):
    for again in (ALICE, ALICE_SPARE):
        text = text_of("operator.remove", 90, "operator=dave slot=all")
        story = vault_story().operation(text, [ALICE, BOB, again], "operator.removed", operator="dave", number=1)
        assert judge(story) == ("vault", len(story.records) - 2, "operator has approved already")


def test_one_recovery_card_is_one(judge):
    text = text_of("quorum.set", 91, "number=1")
    story = vault_story().add("operation.approved", **card_approval(text, 1, 3))
    twice = copy.deepcopy(story).add("operation.approved", **card_approval(text, 2, 3))
    assert judge(twice) == ("vault", len(twice.records) - 1, "operator has approved already")
    story.add("operation.approved", **card_approval(text, 2, 3, "another card"))
    assert judge(story.add("operation.approved", **ALICE.approval(text, 3, 3))) is None


def test_a_recovery_card_approves_only_what_brings_a_vault_back(judge):
    story = vault_story().add("operation.approved", **card_approval(text_of("rekey.root", 92), 1, 3))
    assert judge(story) == ("vault", len(story.records) - 1, "a recovery card does not approve this")


def test_a_removed_operator_approves_nothing_more(judge):
    story = vault_story().operation(text_of("rekey.database", 93), [CAROL], "rekey.begun", what="database")
    assert judge(story) == ("vault", len(story.records) - 2, "slot was not enrolled then")
    late = tenant_story()
    late.start_us += 10 * 24 * 3600 * 1000000
    assert judge(late, vault_story()) == ("acme", late.find("operation.approved"), "fewer approvals were asked for than the quorum")
    late.records = late.records[:2]
    late.operation(text_of("rekey.tenant", 94, f"tenant={TENANT.hex()}"), [CAROL], "rekey.begun", what="tenant", epoch=9)
    assert judge(late, vault_story()) == ("acme", 3, "slot was not enrolled then")


def test_an_operator_approves_nothing_before_being_enrolled(judge):
    story = vault_story()
    seq = story.find("operation.approved")
    story.records[seq] = ("operation.approved", DAVE.approval(story.records[seq][1]["text"], 1, 2))
    assert judge(story) == ("vault", seq, "slot was not enrolled then")


def test_a_stranger_approves_nothing(judge):
    story = vault_story()
    seq = story.find("operation.approved")
    approval = MALLORY.approval(story.records[seq][1]["text"], 1, 2)
    story.records[seq] = ("operation.approved", approval)
    assert judge(story) == ("vault", seq, "slot was not enrolled then")
    story.records[seq] = ("operation.approved", {**approval, "slot_id": ALICE.slot, "operator": "alice"})
    assert judge(story) == ("vault", seq, "slot has another operator or key")


def test_a_lower_quorum_counts_at_once_and_a_higher_one_when_the_root_has_moved(judge):
    story = vault_story()
    story.operation(text_of("quorum.set", 95, "number=2"), [ALICE, BOB, DAVE], "quorum.changed", quorum=2)
    root = text_of("rekey.root", 96)
    assert judge(copy.deepcopy(story).operation(root, [ALICE, BOB], "rekey.begun", what="root")) is None
    story.add("rekey.done", what="root", epoch=5, happened=story.time(len(story.records)))
    story.operation(text_of("quorum.set", 97, "number=3"), [ALICE, BOB], "quorum.changed", quorum=3)
    asked = len(story.records) - 1
    assert judge(copy.deepcopy(story).operation(root, [ALICE, BOB], "rekey.begun", what="root")) is None
    # A rotation that ended before the wish did not take it, though its record comes later.
    story.add("rekey.done", what="root", epoch=6, happened=story.time(asked - 1))
    assert judge(copy.deepcopy(story).operation(root, [ALICE, BOB], "rekey.begun", what="root")) is None
    story.add("rekey.done", what="root", epoch=7, happened=story.time(asked + 1))
    story.operation(root, [ALICE, BOB], "rekey.begun", what="root")
    assert judge(story) == ("vault", len(story.records) - 3, "fewer approvals were asked for than the quorum")


# --- effects -------------------------------------------------------------------------------------------


def test_an_effect_without_an_operation_is_found_unless_it_came_with_the_vault(judge):
    story = vault_story()
    for kind in ("quorum.changed", "operator.removed", "cards.renewed", "rekey.begun"):
        seq = story.find(kind)
        assert judge(changed(story, seq, operation=None)) == ("vault", seq, "effect names no operation")
    late = copy.deepcopy(story).add("operator.enrolled", **MALLORY.enrolled(9))
    assert judge(late) == ("vault", len(late.records) - 1, "effect names no operation")
    story.records.insert(5, ("operator.enrolled", MALLORY.enrolled(9)))
    assert judge(story) == ("vault", 5, "effect names no operation")


def test_an_effect_of_another_kind_than_approved_is_found(judge):
    story = tenant_story()
    held, lifted, rekeyed = (story.find(kind) for kind in ("engagement.held", "engagement.lifted", "rekey.begun"))
    for seq, kind in ((held, "engagement.lifted"), (held, "purge.hastened"), (lifted, "grant.added")):
        other = copy.deepcopy(story)
        other.records[seq] = (kind, other.records[seq][1])
        assert judge(other) == ("acme", seq, "operation is for another effect")
    assert judge(changed(story, rekeyed, what="root")) == ("acme", rekeyed, "operation is for another effect")


EFFECT_FIELDS = [
    (vault_story, "operator.enrolled", 3, {"operator": "mallory"}), (vault_story, "operator.enrolled", 3, {"slot_id": MALLORY.slot}),
    (vault_story, "operator.enrolled", 3, {"public_key": MALLORY.public_key}), (vault_story, "operator.removed", 0, {"operator": "bob"}),
    (vault_story, "quorum.changed", 0, {"quorum": 1}), (vault_story, "quorum.changed", 0, {"quorum": None}),
    (vault_story, "cards.renewed", 0, {"cards": 3}), (tenant_story, "engagement.held", 0, {"engagement_id": "34" * 16}),
    (tenant_story, "engagement.lifted", 0, {"engagement_id": None}), (tenant_story, "purge.hastened", 0, {"engagement_id": "34" * 16}),
    (tenant_story, "grant.added", 1, {"gateway_id": "45" * 16}), (tenant_story, "grant.added", 1, {"pattern": "*"}),
    (tenant_story, "grant.added", 1, {"max_ttl_s": 901}), (tenant_story, "grant.added", 1, {"max_ttl_s": None}),
    (tenant_story, "grant.added", 2, {"max_ttl_s": 86400}), (tenant_story, "grant.added", 1, {"pattern": True}),
]  # fmt: skip


@pytest.mark.parametrize("make,kind,which,fields", EFFECT_FIELDS, ids=lambda value: getattr(value, "__name__", str(value)))
def test_an_effect_that_is_not_what_was_approved_is_found(judge, make, kind, which, fields):
    story = make()
    seq = story.find(kind, which)
    assert judge(changed(story, seq, **fields))[1:] == (seq, "effect is not what was approved")


def test_an_effect_may_not_name_another_operation(judge):
    story = tenant_story()
    seq = story.find("engagement.lifted")
    for value, reason in ((operation_hash("another").hex(), "operation was not approved"), (7, "operation was not approved"),
                          (story.records[story.find("engagement.held")][1]["operation"], "approvals were used before")):  # fmt: skip
        assert judge(changed(story, seq, operation=value)) == ("acme", seq, reason)


@pytest.mark.parametrize("text,reason", [
    (text_of("rekey.root", 101), "operation belongs to another log"), ("", "text is no operation"),
    (text_of("rekey.tenant", 101, "tenant=" + "56" * 16), "operation belongs to another log"),
    ("rekey.everything id=1", "text is no operation"), ("rekey.tenant", "text is no operation"),
    (f"rekey.tenant id= tenant={TENANT.hex()}", "text is no operation"),
    (f"rekey.tenant id=1  tenant={TENANT.hex()}", "text is no operation"),
    (f"rekey.tenant id=1 tenant={TENANT.hex()} ", "text is no operation"),
    (f"rekey.tenant tenant={TENANT.hex()} id=1", "text is no operation"),
    (f"rekey.tenant id=1 tenant={TENANT.hex()} number=1", "text is no operation"),
    (f"hold.set id=1 engagement={ENGAGEMENT} tenant={TENANT.hex()}", "text is no operation"),
    (f"rekey.tenant id={'1' * 500} tenant={TENANT.hex()}", "text is no operation"),
    (f"rekey.tenant id=\u00e9 tenant={TENANT.hex()}", None),
], ids=lambda value: str(value)[:40])  # fmt: skip
def test_a_signed_text_that_is_no_operation_of_this_log_is_no_approval(judge, text, reason):
    story = tenant_story().add("operation.approved", **BOB.approval(text, 1, 1))
    assert judge(story) == (reason and ("acme", len(story.records) - 1, reason))


# --- operators -----------------------------------------------------------------------------------------


def test_records_of_operators_that_do_not_fit_each_other_are_found(judge):
    story = vault_story()
    gone = story.find("operator.removed")
    assert judge(changed(story, gone, number=2)) == ("vault", gone, "no such keys to remove")
    assert judge(changed(story, gone, slot_id=BOB.slot)) == ("vault", gone, "no such keys to remove")
    assert judge(changed(story, gone, operator=None)) == ("vault", gone, "effect is not what was approved")
    assert judge(changed(story, 0, quorum=None)) == ("vault", 0, "malformed record of operators")
    assert judge(changed(story, 2, public_key=None)) == ("vault", 2, "malformed record of operators")
    assert judge(changed(story, 2, slot_id=ALICE.slot)) == ("vault", 2, "slot is enrolled twice")
    again = copy.deepcopy(story).add("vault.created", quorum=1)
    assert judge(again) == ("vault", len(again.records) - 1, "malformed record of operators")
    del story.records[0]
    assert judge(story) == ("vault", 0, "effect names no operation")


def test_removing_an_operator_removes_all_keys_whatever_else_the_record_says(judge):
    """Only of a single key does the keeper write the slot: one beside number 2 is the server's."""
    story = vault_story()
    text = text_of("operator.remove", 110, "operator=alice slot=all")
    story.operation(text, [ALICE, BOB, DAVE], "operator.removed", operator="alice", slot_id=ALICE.slot, number=2)
    assert judge(story) is None
    story.add("operation.approved", **ALICE_SPARE.approval(text_of("rekey.database", 111), 1, 1))
    assert judge(story) == ("vault", len(story.records) - 1, "slot was not enrolled then")


def test_removing_one_key_of_an_operator_leaves_the_others(judge):
    text = text_of("operator.remove", 112, f"operator=alice slot={ALICE.slot}")
    one = vault_story().operation(text, [ALICE, BOB, DAVE], "operator.removed", operator="alice", slot_id=ALICE.slot, number=1)
    spare = copy.deepcopy(one).add("operation.approved", **ALICE_SPARE.approval(text_of("rekey.database", 113), 1, 3))
    assert judge(spare) is None
    assert judge(one.add("operation.approved", **ALICE.approval(text_of("rekey.database", 114), 1, 3)))[2] == "slot was not enrolled then"


# --- two logs, and usage -------------------------------------------------------------------------------


def test_a_fault_in_the_vaults_log_is_a_fault_of_what_rests_on_it(judge):
    vault = vault_story()
    seq = vault.find("operation.approved", 1)
    assert judge(tenant_story(), changed(vault, seq, need=1)) == ("vault", seq, "fewer approvals were asked for than the quorum")


def test_other_faults_of_the_trail_come_first(tmp_path):
    bundle = changed(vault_story(), 6, operation="00").bundle(tmp_path / "vault.jsonl")
    lines = bundle.read_bytes().splitlines(keepends=True)
    del lines[20]
    bundle.write_bytes(b"".join(lines))
    for verdict in (by_command(tmp_path, bundle, "--step-ups"), by_script(bundle, "--step-ups")):
        assert verdict == ("vault", 19, "wrong sequence")


def test_without_the_option_approvals_are_records_like_others(tmp_path):
    bundle = changed(vault_story(), 6, operation="00").bundle(tmp_path / "vault.jsonl")
    assert by_command(tmp_path, bundle) is None and by_script(bundle) is None


def test_two_trails_that_do_not_belong_together_are_a_usage_error(tmp_path):
    tenant, vault = tenant_story().bundle(tmp_path / "acme.jsonl"), vault_story().bundle(tmp_path / "vault.jsonl")
    other = vault_story().bundle(tmp_path / "other.jsonl", vault="66" * 16)
    for words in ([vault, "--step-ups", "--vault-bundle", vault], [tenant, "--step-ups", "--vault-bundle", tenant],
                  [tenant, "--vault-bundle", vault]):  # fmt: skip
        done = command(tmp_path, "audit", "verify", "--bundle", *words)
        assert (done.returncode, done.stdout) == (USAGE, ""), words
        done = subprocess.run([sys.executable, VERIFY_AUDIT, *words], capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout) == (2, ""), words
    for code in (command(tmp_path, "audit", "verify", "--bundle", tenant, "--step-ups", "--vault-bundle", other).returncode,
                 by_exit(tenant, "--step-ups", "--vault-bundle", other)):  # fmt: skip
        assert code != 0


def by_exit(bundle, *options):
    return subprocess.run([sys.executable, VERIFY_AUDIT, bundle, *options], capture_output=True, timeout=60, check=False).returncode


# --- a vault that runs ---------------------------------------------------------------------------------


def test_the_trails_of_a_running_vault_are_checked_and_its_own_export_serves_a_tenants(vault, customer):
    said = vault.cli_json("audit", "verify", "vault", "--step-ups")["step_ups"]
    assert said["enrolled"] is True and said["operations"] == said["approvals"]
    tenants, own = vault.export(customer.name), vault.export("vault")
    for source in ([customer.name], ["--bundle", tenants]):
        said = vault.cli_json("audit", "verify", *source, "--step-ups", "--vault-bundle", own)["step_ups"]
        assert (said["enrolled"], said["plain_grants"]) == (True, 1)
    vault.cli("audit", "verify", "vault", "--step-ups", "--vault-bundle", own, expect=USAGE)
    assert by_exit(tenants, "--step-ups", "--vault-bundle", own) == 0
    assert vault.cli_json("audit", "verify", "--bundle", tenants, "--step-ups")["step_ups"]["enrolled"] is True


def test_what_people_approved_with_their_keys_verifies_and_names_them(new_vault):
    vault, alice, bob = team(new_vault, names=("alice", "bob"), quorum="1/2")
    customer = vault.customer()
    vault.api("POST", f"/v1/tenants/{customer.name}/engagements/migration/end", {})
    holding = Meanwhile(alice.cli, "engagement", "hold", f"{customer.name}/migration")
    bob.cli("operation", "approve", pending(vault), "--yes")
    holding.result()
    alice.cli("operator", "remove", "bob", "--yes")
    settled(vault)
    own, tenants = vault.export("vault"), vault.export(customer.name)
    for bundle, options, done in ((own, (), ("operator.remove", "alice")),
                                  (tenants, ("--vault-bundle", own), ("hold.set", "alice, bob")),
                                  (tenants, (), ("hold.set", "alice, bob"))):  # fmt: skip
        said = vault.cli_json("audit", "verify", "--bundle", bundle, "--step-ups", *options)["step_ups"]
        assert [(one["operation"], one["approved_by"]) for one in said["done"]] == [done]
        assert by_exit(bundle, "--step-ups", *options) == 0
