"""exec: a command with leased keys, in its environment or in a file in memory, for as long as it runs."""

import contextlib
import json
import os
import re
import signal
import stat
import subprocess
from pathlib import Path

import memory
import pytest
from harness import BIN, DENIED, LOCKED, ROOT, USAGE, await_that, new_provider_key, unique

AWS = {"access_key_id": "AKIA0123456789ABCDEF", "secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}

# Says what it has at its start and with every signal, in lines of JSON, until it is told to end.
WATCHER = """
import json, os, signal
path = os.environ.get("OPENAI_API_KEY_FILE")
waited = {signal.SIGHUP, signal.SIGUSR1, signal.SIGINT, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, waited)
def say(what):
    try:
        text = open(path).read() if path else os.environ.get("OPENAI_API_KEY")
    except FileNotFoundError:
        text = None
    print(json.dumps({"what": what, "value": text, "path": path, "pid": os.getpid()}), flush=True)
say("start")
while True:
    number = signal.sigwait(waited)
    say(signal.Signals(number).name)
    if number in (signal.SIGINT, signal.SIGTERM):
        AND_THEN
"""
ENDS, GOES_ON = WATCHER.replace("AND_THEN", "os._exit(40 + number)"), WATCHER.replace("AND_THEN", "signal.setitimer(signal.ITIMER_REAL, 0.2)")
PYTHON = "/usr/bin/python3"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    """What $XDG_RUNTIME_DIR is on a machine with logins: a directory in memory."""
    directory = Path("/dev/shm") / unique(f"strongroom-test-{os.getpid()}")
    directory.mkdir(mode=0o700)
    yield directory
    subprocess.run(["rm", "-rf", directory], check=True)


def profile_of(vault, customer):
    directory = vault.files / unique("profile")
    vault.cli("--url", vault.url, "profile", "create", "--ca", vault.ca, "--certificate",
              customer.gateway.certificate, "--key", customer.gateway.key, profile=directory)
    return directory


class Runner:
    """Runs exec as a customer's gateway, with the runtime directory as the place for files."""

    def __init__(self, vault, customer, runtime):
        self.vault, self.customer, self.runtime = vault, customer, runtime
        self.profile = profile_of(vault, customer)
        self.started = []
        self.run("--lease", customer.path, "--", "true")  # pins the vault's key, and says so

    def start(self, *words, environment={}, **more):
        """words: options of exec, --, the command."""
        process = subprocess.Popen(
            [BIN / "strongroom", "--profile", self.profile, "exec", *map(str, words)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.vault.files,
            env={**self.vault.environment(), "XDG_RUNTIME_DIR": str(self.runtime), "PATH": "/usr/bin:/bin",
                 **environment}, **more)
        self.started.append(process)
        return process

    def run(self, *words, expect=0, **more):
        process = self.start(*words, **more)
        out, err = process.communicate(timeout=60)
        assert process.returncode == expect, (process.returncode, out, err)
        process.said = out.decode(), err.decode()
        return process.said

    def watch(self, *options, ttl=2):
        """A watcher under exec: the process, and what it said first."""
        process = self.start("--lease", self.customer.path, "--ttl", str(ttl), *options, "--", PYTHON, "-c", ENDS)
        return process, line_of(process)

    @property
    def directories(self):
        return sorted(path for path in self.runtime.iterdir())


def line_of(process):
    line = process.stdout.readline()
    assert line, process.stderr.read()
    return json.loads(line)


def ended(process):
    """Its exit code and what it said on standard error."""
    code = process.wait(30)
    return code, process.stderr.read().decode()


@pytest.fixture
def runner(vault, customer, runtime):
    runner = Runner(vault, customer, runtime)
    yield runner
    for process in runner.started:
        if process.poll() is None:
            process.terminate()
            process.wait(30)
        for stream in (process.stdout, process.stderr):
            stream.close()
    assert runner.directories == []


def live(customer):
    return [lease for lease in customer.vault.api("GET", "/v1/leases")["leases"] if lease["tenant"] == customer.name]


def put(customer, provider, value):
    name = unique("key")
    customer.vault.put_key(customer.name, name, value if isinstance(value, str) else json.dumps(value),
                           provider=provider)
    return name


def may_all(vault, customer):
    """A customer whose gateway may lease all of its keys."""
    customer.gateway = vault.add_gateway(f"{customer.name}/*")
    return customer


# --- the environment -------------------------------------------------------------------------------


@pytest.mark.sanitize
def test_the_command_has_the_value_in_its_providers_variable_and_the_lease_ends_with_it(runner, customer):
    out, err = runner.run("--lease", customer.path, "--", "sh", "-c", 'printf %s "$OPENAI_API_KEY"')
    assert (out, err) == (customer.value, "")
    assert live(customer) == []
    assert customer.vault.types(customer.name)[-2:] == ["lease.issued", "lease.released"]


def test_variables_can_be_named_and_hold_fields(vault, customer, runtime):
    runner = Runner(vault, may_all(vault, customer), runtime)
    aws, generic = put(customer, "aws-bedrock", AWS), put(customer, "generic", "value")
    out, _ = runner.run("--lease", f"{customer.name}/{aws}", "--lease", f"{customer.name}/{generic}", "--as", "MINE",
                        "--", "env", expect=0)
    assert f"AWS_ACCESS_KEY_ID={AWS['access_key_id']}\n" in out and "\nMINE=value\n" in "\n" + out
    assert f"AWS_SECRET_ACCESS_KEY={AWS['secret_access_key']}\n" in out and "AWS_SESSION_TOKEN" not in out
    out, _ = runner.run("--lease", f"{customer.name}/{aws}", "--as", "ID=access_key_id", "--as", "ALL", "--", "env")
    assert f"\nID={AWS['access_key_id']}\n" in "\n" + out and "AWS_SECRET_ACCESS_KEY" not in out
    assert f"\nALL={json.dumps(AWS)}\n" in "\n" + out
    _, err = runner.run("--lease", f"{customer.name}/{generic}", "--", "true", expect=USAGE)
    assert "--as" in err
    _, err = runner.run("--lease", f"{customer.name}/{aws}", "--as", "X=nothing", "--", "true", expect=4)
    _, err = runner.run("--lease", f"{customer.name}/{generic}", "--as", "X", "--lease", customer.path, "--as", "X",
                        "--", "true", expect=5)
    assert "tell them apart" in err and live(customer) == []


def test_a_variable_that_was_there_is_replaced_and_others_stay(runner, customer):
    out, _ = runner.run("--lease", customer.path, "--", "env", environment={"OPENAI_API_KEY": "old", "OTHER": "stays"})
    assert out.count("OPENAI_API_KEY=") == 1 and customer.value in out and "OTHER=stays\n" in out


def test_the_command_gets_no_descriptor_of_ours_and_keeps_those_it_was_given(runner, customer):
    ours, theirs = os.pipe()
    try:
        out, _ = runner.run("--lease", customer.path, "--", "sh", "-c", "ls /proc/$$/fd", pass_fds=[theirs])
        assert {int(fd) for fd in out.split()} == {0, 1, 2, theirs}
    finally:
        os.close(ours)
        os.close(theirs)


def test_in_exec_itself_the_value_is_in_hidden_memory_alone(runner, customer):
    process, _ = runner.watch("--file", "--sealed", ttl=60)
    hidden, found = set(), 0
    with memory.stopped(process.pid):
        for name, content in memory.regions(process.pid, hidden):
            found += content.count(customer.value.encode())
    assert found == (0 if memory.HIDDEN_SLAB in hidden else 1)


# --- how it ends -----------------------------------------------------------------------------------


def test_the_commands_exit_code_is_passed_on(runner, customer):
    lease = ("--lease", customer.path, "--")
    runner.run(*lease, "sh", "-c", "exit 7", expect=7)
    runner.run(*lease, "sh", "-c", "kill -TERM $$", expect=128 + signal.SIGTERM)
    runner.run(*lease, "no-such-command-anywhere", expect=127)
    runner.run(*lease, "/etc/passwd", expect=126)
    assert live(customer) == []


def test_without_a_lease_the_command_does_not_start(runner, customer):
    mark = runner.vault.files / unique("mark")
    for words, code in ((["--lease", "other/key", "--", "touch", mark], DENIED),
                        (["--lease", customer.path, "touch", mark], USAGE),
                        (["--lease", customer.path, "--"], USAGE),
                        (["--lease", customer.path, "--lease", customer.path, "--", "touch", mark], USAGE),
                        (["--as", "X", "--lease", customer.path, "--", "touch", mark], USAGE),
                        (["--lease", customer.path, "--as", "1X", "--", "touch", mark], USAGE),
                        (["--lease", customer.path, "--signal", "KILL", "--", "touch", mark], USAGE),
                        (["--", "touch", mark], USAGE)):
        runner.run(*words, expect=code)
        assert not mark.exists(), words


def test_a_signal_is_passed_on_once_and_the_command_ends_in_its_own_way(runner, customer):
    process, first = runner.watch("--file", ttl=60)
    process.send_signal(signal.SIGUSR1)
    assert line_of(process)["what"] == "SIGUSR1"
    process.terminate()
    assert line_of(process)["what"] == "SIGTERM"
    assert ended(process) == (40 + signal.SIGTERM, "")
    assert process.stdout.read() == b""
    assert not Path(first["path"]).exists() and runner.directories == [] and live(customer) == []


def test_the_command_has_the_signals_that_exec_was_started_with(runner, customer):
    """nohup stays nohup, and that exec itself ignores SIGPIPE is its own affair."""
    out, _ = runner.run("--lease", customer.path, "--", "sh", "-c", "exec grep ^Sig /proc/self/status",
                        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    said = dict(line.split(":\t") for line in out.splitlines())
    assert (int(said["SigIgn"], 16), int(said["SigBlk"], 16)) == (1 << (signal.SIGHUP - 1), 0)


def test_ctrl_c_reaches_the_command_once(runner, customer):
    """The terminal sends it to both: exec does not send it again."""
    master, slave = os.openpty()

    def own_terminal():
        os.setsid()
        import fcntl
        import termios
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    process = runner.start("--lease", customer.path, "--file", "--", PYTHON, "-c", GOES_ON, preexec_fn=own_terminal)
    try:
        line_of(process)
        os.write(master, b"\x03")
        assert ended(process) == (128 + signal.SIGALRM, "")
        assert [json.loads(line)["what"] for line in process.stdout] == ["SIGINT"]
    finally:
        os.close(master)
        os.close(slave)
    assert live(customer) == []


def test_if_exec_is_killed_the_command_is_told_to_end_and_the_next_exec_removes_what_is_left(runner, customer):
    other, _ = runner.watch("--file", ttl=60)
    process, first = runner.watch("--file", ttl=60)
    assert len(runner.directories) == 2
    process.kill()
    assert line_of(process)["what"] == "SIGTERM"
    process.wait(30)
    assert Path(first["path"]).exists(), "nobody was left to remove it"
    runner.run("--lease", customer.path, "--", "true")
    assert not Path(first["path"]).parent.exists()
    assert len(runner.directories) == 1, "one that is in use stays"
    other.terminate()
    other.wait(30)


# --- files -----------------------------------------------------------------------------------------


@pytest.mark.sanitize
def test_the_file_is_in_memory_and_only_its_users(runner, customer):
    script = "stat -f -c %T \"$1\"; stat -c %a \"$1\" \"${1%/*}\"; cat \"$1\"; env"
    out, _ = runner.run("--lease", customer.path, "--file", "--", "sh", "-c", script, "sh", "{}")
    lines = out.splitlines()
    assert lines[:3] == ["tmpfs", "600", "700"]
    assert lines[3].startswith(customer.value)
    assert "OPENAI_API_KEY_FILE=" + str(runner.runtime) in out and "OPENAI_API_KEY=" not in out
    assert runner.directories == []


def test_a_service_account_is_named_by_its_own_variable(vault, customer, runtime):
    account = {"type": "service_account", "client_email": "a@b", "private_key": "-----BEGIN\\n", "project_id": "acme"}
    runner = Runner(vault, may_all(vault, customer), runtime)
    name = put(customer, "google-vertex", account)
    lease = ("--lease", f"{customer.name}/{name}")
    out, _ = runner.run(*lease, "--file", "--", "sh", "-c", 'cat "$GOOGLE_APPLICATION_CREDENTIALS"; echo; env')
    assert json.loads(out.splitlines()[0]) == account and "GOOGLE_CLOUD_PROJECT=acme" in out
    assert "--file" in runner.run(*lease, "--", "true", expect=USAGE)[1]
    out, _ = runner.run(*lease, "--file", "--as", "MAIL=client_email", "--", "sh", "-c", 'cat "$MAIL_FILE"')
    assert out == "a@b"


def test_several_files_are_told_apart_by_name(vault, customer, runtime):
    runner = Runner(vault, may_all(vault, customer), runtime)
    other = put(customer, "groq", "gsk_other")
    leases = ("--lease", customer.path, "--lease", f"{customer.name}/{other}", "--file", "--", "cat")
    out, _ = runner.run(*leases, "{%s/%s}" % (customer.name, other), "{%s}" % customer.path)
    assert out == "gsk_other" + customer.value
    assert "{TENANT/NAME}" in runner.run(*leases, "{}", expect=USAGE)[1]


def test_a_rotation_replaces_the_file_at_once_and_whole_and_the_command_is_told(runner, customer):
    """Whoever reads it meanwhile has the old value or the new one. The vault's feed says so, long before a renewal."""
    process, first = runner.watch("--file", "--signal", "USR1", ttl=300)
    assert first["value"] == customer.value
    old = open(first["path"])
    value = customer.vault.rotate_key(customer.name, grace_s=60)
    told = line_of(process)
    assert (told["what"], told["value"], told["path"]) == ("SIGUSR1", value, first["path"])
    assert old.read() == customer.value, "an open file is not written to"
    assert stat.S_IMODE(os.stat(first["path"]).st_mode) == 0o600
    assert [lease["version"] for lease in live(customer)] == [2]
    process.terminate()
    assert ended(process)[1] == ""


def test_in_the_environment_a_rotation_is_told_or_the_command_is_started_anew(runner, customer):
    process, first = runner.watch("--restart")
    still, _ = runner.watch()
    value = customer.vault.rotate_key(customer.name, grace_s=60)
    assert line_of(process)["what"] == "SIGTERM"
    again = line_of(process)
    assert (again["what"], again["value"]) == ("start", value) and again["pid"] != first["pid"]
    process.terminate()
    assert ended(process) == (40 + signal.SIGTERM, ""), "told to end, it is not started again"
    assert b"--restart" in still.stderr.readline()


def test_a_lease_is_renewed_for_as_long_as_the_command_runs(runner, customer):
    process, first = runner.watch("--file", ttl=3)  # a renewal that comes a second late is in time
    await_that("it was renewed often", lambda: customer.vault.types(customer.name).count("lease.renewed") >= 3)
    assert len(live(customer)) == 1 and Path(first["path"]).read_text() == customer.value
    assert customer.vault.types(customer.name).count("lease.issued") == 2, "with that of the first exec"


def test_policy_is_told_what_the_key_is_for_with_every_renewal(runner, customer):
    document = runner.vault.files / unique("document")
    document.write_text("[allow chat]\nmodels = gpt-5*\nenvironments = prod\n")
    runner.vault.cli("policy", "set", customer.name, document)
    runner.run("--lease", customer.path, "--", "true", expect=DENIED)
    process, first = runner.watch("--file", "--model", "gpt-5", "--environment", "prod", ttl=1)
    await_that("it was renewed", lambda: customer.vault.types(customer.name).count("lease.renewed") >= 2)
    assert Path(first["path"]).read_text() == customer.value


def test_a_key_that_is_revoked_is_taken_away_and_the_command_is_told(runner, customer):
    process, first = runner.watch("--file")
    killed, _ = runner.watch("--kill-on-revoke")
    with open(first["path"]) as held:
        customer.vault.cli("key", "revoke", customer.path, "--yes")
        told = line_of(process)
        assert (told["what"], told["value"]) == ("SIGHUP", None)
        assert customer.value not in held.read()
    assert line_of(killed)["what"] == "SIGTERM"
    code, err = ended(killed)
    assert code == 40 + signal.SIGTERM and f"The lease of {customer.path} is lost" in err and customer.value not in err


def test_what_was_refused_is_asked_for_again_when_the_feed_tells_of_a_change(runner, customer):
    """Not of a grant that is given: of one that is taken, and then all that it may be about is looked after."""
    def grants(action, key):
        customer.vault.api("POST", f"/v1/gateways/{customer.gateway.name}/grants{action}", {"key": key})

    process, _ = runner.watch("--file", "--signal", "USR1", ttl=300)
    grants("/remove", customer.path)
    assert line_of(process)["value"] is None
    assert b"no grant covers this key" in process.stderr.readline()
    grants("", f"{customer.name}/other*")
    grants("", customer.path)
    grants("/remove", f"{customer.name}/other*")
    assert line_of(process)["value"] == customer.value


def test_a_vault_that_does_not_answer_costs_the_lease_when_it_ends_and_gives_it_back(new_vault, runtime):
    """And a lease that is as old as it may become is followed by another without a word."""
    vault = new_vault(lease_ttl_s=2, lease_max_ttl_s=2, lease_max_lifetime_s=3)
    customer = vault.customer()
    runner = Runner(vault, customer, runtime)
    process, first = runner.watch("--file", "--signal", "USR1")
    await_that("a second lease", lambda: vault.types(customer.name).count("lease.issued") >= 3)  # and the runner's own
    assert Path(first["path"]).read_text() == customer.value
    vault.cli("lock")
    told = line_of(process)
    assert (told["what"], told["value"]) == ("SIGUSR1", None)
    assert b"gave no answer until the lease" in process.stderr.readline()
    runner.run("--lease", customer.path, "--", "true", expect=LOCKED)
    vault.unlock()
    told = line_of(process)
    assert (told["what"], told["value"]) == ("SIGUSR1", customer.value)
    process.terminate()
    process.wait(30)


def test_a_command_that_does_not_end_when_asked_is_killed(runner, customer):
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('{}', flush=True); signal.pause()"
    process = runner.start("--lease", customer.path, "--ttl", "2", "--kill-on-revoke", "--end-within", "0",
                           "--", PYTHON, "-c", deaf)
    line_of(process)
    customer.vault.cli("key", "revoke", customer.path, "--yes")
    assert ended(process)[0] == 128 + signal.SIGKILL


def test_the_examples_use_options_that_there_are(vault):
    examples = ROOT / "examples/exec"
    text = (examples / "README.md").read_text() + (examples / "ai-gateway.service").read_text().replace("\\\n", "")
    commands = re.findall(r"strongroom (?:--profile \S+ )?(?:exec|gateway add|profile create) .*", text)
    assert len(commands) >= 8
    known = "".join(vault.cli("help", noun).out for noun in ("exec", "gateway", "profile")) + "--profile"
    for command in commands:
        for option in re.findall(r" (--[a-z][a-z-]*)", command.split(" -- ")[0]):
            assert option in known, command
