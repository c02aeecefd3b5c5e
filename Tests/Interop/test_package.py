"""What the gateway is deployed with: the Debian package, its unit, and the manifests for Kubernetes."""

import re
import shutil
import subprocess

import kubernetes_validate
import pytest
import yaml

from conftest import ROOT, SLUICE

UNIT = (ROOT / "examples/systemd/sluice.service").read_text()
MANIFESTS = list(yaml.safe_load_all((ROOT / "examples/kubernetes/sluice.yaml").read_text()))


def seconds(text: str) -> int:
    return int(re.fullmatch(r"(\d+)s", str(text))[1])


def test_the_package_has_the_version_of_the_program():
    said = subprocess.run([SLUICE, "--version"], capture_output=True, text=True, timeout=10).stdout.strip()
    assert re.match(r"sluice \((.*)\)", (ROOT / "debian/changelog").read_text())[1] == said
    assert f"sluice_{said}_amd64.deb" in (ROOT / "docs/operate.md").read_text()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
@pytest.mark.parametrize("name", ["sluice.service", "sluice.socket"])
def test_systemd_understands_the_unit(name, tmp_path):
    for file in ("sluice.service", "sluice.socket"):
        text = (ROOT / "examples/systemd" / file).read_text().replace("/usr/local/bin/sluice", str(SLUICE))
        (tmp_path / file).write_text(text.replace("Documentation=man:sluice(1)\n", ""))
    checked = subprocess.run(["systemd-analyze", "verify", "--man=no", str(tmp_path / name)], capture_output=True, text=True, timeout=60)
    assert (checked.returncode, [line for line in checked.stderr.splitlines() if name in line]) == (0, []), checked.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
def test_the_unit_leaves_little_to_an_intruder(tmp_path):
    """systemd's own measure, from 0 (nothing) to 10 (everything that root may do)."""
    shutil.copy(ROOT / "examples/systemd/sluice.service", tmp_path)
    said = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(tmp_path / "sluice.service")], capture_output=True, text=True, timeout=60
    ).stdout
    assert float(re.search(r"Overall exposure level for sluice.service: ([\d.]+)", said)[1]) <= 2


def test_the_unit_gives_a_stop_its_time():
    """The standard grace, and the ten seconds after it."""
    assert seconds(re.search(r"^TimeoutStopSec=(.*)$", UNIT, re.M)[1]) > 10 + 10


@pytest.mark.parametrize("version", ["1.30", "1.34"])
def test_kubernetes_understands_the_manifests(version):
    for manifest in MANIFESTS:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_manifests_fit_each_other(tmp_path):
    config, deployment, service, budget = MANIFESTS
    pod = deployment["spec"]["template"]["spec"]
    assert {volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume} == {config["metadata"]["name"]}
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    for selector in (deployment["spec"]["selector"]["matchLabels"], service["spec"]["selector"], budget["spec"]["selector"]["matchLabels"]):
        assert selector.items() <= labels
    file = tmp_path / "routes.yaml"
    file.write_text(config["data"]["routes.yaml"])
    checked = subprocess.run([SLUICE, "validate", "--strict", file], capture_output=True, text=True, timeout=30)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    (container,) = pod["containers"]
    routes = yaml.safe_load(file.read_text())
    paths = {route["path"] for route in routes["applications"]["main"]["http"]}
    assert {container[probe]["httpGet"]["path"].lstrip("/") for probe in ("startupProbe", "readinessProbe", "livenessProbe")} <= paths
    # There is always another pod.
    assert deployment["spec"]["replicas"] > 1 and routes["shutdown"]["back"] == "now"
    stop = container["lifecycle"]["preStop"]["sleep"]["seconds"] + seconds(routes["shutdown"]["grace"]) + 10
    assert stop < pod["terminationGracePeriodSeconds"]
    for each in pod["containers"] + pod["initContainers"]:
        assert each["securityContext"]["readOnlyRootFilesystem"] and each["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
def test_systemd_understands_a_second_service(tmp_path):
    """The template that the manual makes of the unit."""
    line = re.search(r"^sed '(.*)' .*/sluice@\.service$", (ROOT / "docs/operate.md").read_text(), re.M)[1]
    text = UNIT.replace("/usr/local/bin/sluice", str(SLUICE)).replace("Documentation=man:sluice(1)\n", "")
    made = subprocess.run(["sed", line], input=text, capture_output=True, text=True, timeout=10).stdout
    assert made.count("/etc/sluice/%i.yaml") == 3 and "routes.yaml" not in made
    # What one of them leaves is not taken from the other.
    assert "\nRuntimeDirectoryPreserve=yes\n" in made
    unit = tmp_path / "sluice@second.service"
    unit.write_text(made)
    checked = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60)
    assert (checked.returncode, [line for line in checked.stderr.splitlines() if unit.name in line]) == (0, []), checked.stderr


@pytest.mark.parametrize("example, service", [("container", "sluice"), ("django", "gateway")])
def test_a_container_can_be_told_to_reload(example, service):
    folder = ROOT / "examples" / example
    compose = yaml.safe_load((folder / "compose.yaml").read_text())["services"][service]
    user = re.search(r"^USER (\d+)$", (ROOT / "Dockerfile").read_text(), re.M)[1]
    assert compose["read_only"] and f"/run/sluice:uid={user},mode=0700" in compose["tmpfs"]
    assert f"--tmpfs /run/sluice:uid={user}," in (ROOT / "docs/operate.md").read_text()
    # A mount of one file stays with the file of the start.
    assert [volume.split(":")[1] for volume in compose["volumes"]] == ["/etc/sluice"]
    routes = yaml.safe_load((folder / "routes.yaml").read_text())
    assert seconds(compose["stop_grace_period"]) > seconds(routes.get("shutdown", {}).get("grace", "10s")) + 10
