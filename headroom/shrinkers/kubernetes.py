"""What `kubectl` prints and hardly anybody needs: bookkeeping of the server, defaults, conditions that are fine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from headroom.shrinkers import drawn, outline, trouble
from headroom.shrinkers.grid import Item, Row, Sheet
from headroom.values import Form

_OBJECT = re.compile(r"^\s*(?:- )?(?:apiVersion|kind): ", re.MULTILINE)
_DESCRIBED = re.compile(r"^Name: +\S", re.MULTILINE)
_DESCRIBED_TOO = re.compile(r"^(?:Namespace|Labels|Annotations|Events|CreationTimestamp): ", re.MULTILINE)

_SERVER_BLOCKS = ("managedFields:", "kubectl.kubernetes.io/last-applied-configuration:")
_SERVER_LINES = re.compile(
    r"(?:resourceVersion|uid|selfLink|generation|observedGeneration|generateName|containerID|imageID"
    r"|controller-uid|batch\.kubernetes\.io/controller-uid|pod-template-hash|controller-revision-hash|pod-template-generation): .*"
)
_DEFAULT_LINES = frozenset(
    {
        "terminationMessagePath: /dev/termination-log",
        "terminationMessagePolicy: File",
        "dnsPolicy: ClusterFirst",
        "schedulerName: default-scheduler",
        "securityContext: {}",
        "resources: {}",
        "lastState: {}",
        "terminationGracePeriodSeconds: 30",
        "progressDeadlineSeconds: 600",
        "revisionHistoryLimit: 10",
        "enableServiceLinks: true",
        "preemptionPolicy: PreemptLowerPriority",
        "priority: 0",
        "serviceAccount: default",
        "serviceAccountName: default",
        "internalTrafficPolicy: Cluster",
        "sessionAffinity: None",
        "blockOwnerDeletion: true",
        "procMount: Default",
        "creationTimestamp: null",
    }
)
_MACHINE_LABEL = re.compile(
    r"(?:pod-template-hash|pod-template-generation|controller-revision-hash|(?:batch\.kubernetes\.io/)?(?:controller-uid|job-name)"
    r"|statefulset\.kubernetes\.io/pod-name|apps\.kubernetes\.io/pod-index)="
)
_GOOD_WHEN_TRUE = (
    "Ready",
    "Available",
    "Progressing",
    "Initialized",
    "ContainersReady",
    "PodScheduled",
    "PodReadyToStartContainers",
)
_API_VOLUME = re.compile(r"(?:- )?name: kube-api-access-\w+$")
_TIMES = re.compile(r"(?:- )?(?:lastTransitionTime|lastUpdateTime|lastProbeTime|lastHeartbeatTime):")
_NOTHING = re.compile(
    r"\s*(?:Annotations|Labels|(?:Host )?Ports?|Environment|Node-Selectors|Mounts|Volumes|Tolerations|Taints|AcquireTime|ConfigMapOptional): +"
    r"(?:<none>|<unset>|<nil>|0/TCP)|\s*(?:Container|Image) ID:.*|\s*[\w./-]+: null"
)
_USUAL_TOLERATION = re.compile(
    r"(?:Tolerations:)?\s+node\.kubernetes\.io/(?:not-ready|unreachable):NoExecute op=Exists for 300s$"
)
_FINE = re.compile(
    r"^\s+(?:PodReadyToStartContainers|PodScheduled|Initialized|Ready|ContainersReady|Available|Progressing)\s+True\b"
)
_FINE_NODE = re.compile(r"^\s+(?:\w+Pressure|NetworkUnavailable)\s+False\b")


def is_object(text: str) -> bool:
    """Return whether a text is YAML of objects as a server gives them back, not a manifest from a file."""
    words = ("resourceVersion:", "uid:", "managedFields:", "lastTransitionTime:")
    return any(word in text for word in words) and bool(_OBJECT.search(text))


def is_description(text: str) -> bool:
    """Return whether a text is what `kubectl describe` prints."""
    return "Name: " in text and bool(_DESCRIBED.search(text)) and len(_DESCRIBED_TOO.findall(text)) >= 2


def object_forms(text: str) -> Iterable[Form]:
    """Yield objects without the server's bookkeeping, defaults and good conditions, equal parts said once."""
    lines = text.split("\n")
    kept = _objects(lines)
    dropped = len(lines) - len(kept)
    kept, folded = outline.fold_repeats(kept)
    if dropped:
        note = f"{dropped:,} of {len(lines):,} lines: server bookkeeping (managedFields, uid, hashes), defaults, empty fields, conditions that are fine"
        yield Form("\n".join(kept), "kubernetes_objects", note)
    elif folded:
        yield Form("\n".join(kept), "kubernetes_repeats")


def _objects(lines: Sequence[str]) -> list[str]:
    stops = outline.ends(outline.depths(lines))
    kept: list[tuple[str, bool]] = []
    dash_at = -1
    index = 0
    while index < len(lines):
        line = lines[index]
        stop = _skipped(lines, index, stops[index])
        text = line.lstrip()
        if stop == index + 1 and text.startswith("- ") and stops[index] > stop:
            dash_at = len(line) - len(text)
        elif stop == index:
            indent = len(line) - len(text)
            if dash_at >= 0 and indent == dash_at + 2:
                line = f"{line[:dash_at]}- {text}"
            dash_at = -1
            stop = index + 1
            kept.append((line.rstrip(), _is_above(line, lines[stop] if stop < len(lines) else "")))
        index = stop
    return _without_bare_keys(kept)


def _is_above(line: str, below: str) -> bool:
    """Return whether a line is a key whose value stands on the lines below it."""
    if not line.rstrip().endswith(":"):
        return False
    indent, depth = len(line) - len(line.lstrip(" -")), len(below) - len(below.lstrip())
    return depth > indent or (depth == indent and below[depth:].startswith("- "))


def _without_bare_keys(kept: Sequence[tuple[str, bool]]) -> list[str]:
    """Drop the keys that lost everything below them: they would read as empty."""
    lines: list[str] = []
    for line, had_below in reversed(kept):
        if not had_below or _is_above(line, lines[-1] if lines else ""):
            lines.append(line)
    return lines[::-1]


def _skipped(lines: Sequence[str], index: int, stop: int) -> int:
    """Return where reading goes on: behind what this line starts when it is left out, else at the line itself."""
    text = lines[index].strip()
    if text.startswith(_SERVER_BLOCKS):
        return _behind_list(lines, index, stop)
    if text.startswith("- ") and 1 < stop - index <= 40 and _is_usual_item(lines[index:stop]):
        return stop
    bare = text.removeprefix("- ")
    if bare in _DEFAULT_LINES or _NOTHING.fullmatch(bare) or _TIMES.match(bare):
        return index + 1
    return index + 1 if _SERVER_LINES.fullmatch(bare) else index


def _is_usual_item(lines: Sequence[str]) -> bool:
    """Return whether a list item is one that every healthy pod has: a good condition, the default tolerations."""
    indent = len(lines[0]) - len(lines[0].lstrip()) + 2
    fields = {line[indent:].rstrip() for line in lines if len(line) - len(line.lstrip(" -")) == indent}
    if fields & {'status: "True"', "status: 'True'"}:
        return any(f"type: {name}" in fields for name in _GOOD_WHEN_TRUE)
    if fields & {'status: "False"', "status: 'False'"}:
        return any(
            field.startswith("type: ") and field.endswith(("Pressure", "NetworkUnavailable")) for field in fields
        )
    if "tolerationSeconds: 300" in fields:
        return any(f"key: node.kubernetes.io/{state}" in fields for state in ("not-ready", "unreachable"))
    return any(_API_VOLUME.match(field) for field in fields)


def _behind_list(lines: Sequence[str], index: int, stop: int) -> int:
    """Return the end of a block whose list items stand at the depth of its key, as YAML allows."""
    indent = len(lines[index]) - len(lines[index].lstrip())
    while stop < len(lines):
        line = lines[stop]
        depth = len(line) - len(line.lstrip())
        if not line.strip() or depth > indent or (depth == indent and line[indent:].startswith("- ")):
            stop += 1
        else:
            break
    return stop


def description_forms(text: str) -> Iterable[Form]:
    """Yield a description without empty fields, hashes, good conditions and the volume that every pod has."""
    lines = text.split("\n")
    stops = outline.ends(outline.depths(lines))
    kept: list[str] = []
    index = 0
    while index < len(lines):
        line = lines[index]
        stop = index + 1
        if re.match(r"\s+kube-api-access-\w+:$", line):
            stop = stops[index]
        elif not _is_usual(line, kept):
            kept.append(line.rstrip() if trouble.reports(line) else drawn.squeeze(line))
        index = stop
    kept = _without_empty_parts(kept)
    gone = len(lines) - len(kept)
    if gone:
        yield Form(
            "\n".join(kept),
            "kubernetes_description",
            f"{gone:,} of {len(lines):,} lines: empty fields, ids of images and containers, conditions and tolerations that are fine",
        )


def _is_usual(line: str, kept: Sequence[str]) -> bool:
    if _NOTHING.fullmatch(line) or _USUAL_TOLERATION.match(line) or _FINE.match(line) or _FINE_NODE.match(line):
        return True
    if line.strip() in {"Priority:         0", "----", ""} or not line.strip(" -\t"):
        return True
    if re.match(r"\s+/var/run/secrets/kubernetes\.io/serviceaccount from ", line):
        return True
    return line.startswith("  IP: ") and any(
        before.startswith("IP:") and before.split()[-1] == line.split()[-1] for before in kept
    )


def _without_empty_parts(lines: Sequence[str]) -> list[str]:
    """Drop headings that lost everything below them: `Conditions:`, `Mounts:`, `Volumes:`, `IPs:`."""
    kept: list[str] = []
    for line in reversed(lines):
        below = kept[-1] if kept else ""
        indent = len(line) - len(line.lstrip())
        deeper = len(below) - len(below.lstrip()) > indent
        is_heading = line.strip() in {"Conditions:", "Mounts:", "Volumes:", "IPs:"} and not deeper
        is_ruled = bool(re.match(r"\s+Type\s+Status\b", line)) and not below.startswith(line[:indent])
        if not is_heading and not is_ruled:
            kept.append(line)
    return kept[::-1]


def trim_labels(items: Sequence[Item]) -> tuple[list[Item], int]:
    """Return table rows without the labels that controllers write for themselves, and how many labels went."""
    trimmed: list[Item] = []
    sheets: dict[int, Sheet] = {}
    gone = 0
    for item in items:
        if isinstance(item, str) or "LABELS" not in item[0].names or len(item[1].cells) != len(item[0].names):
            trimmed.append(item)
            continue
        sheet, row = item
        at = sheet.names.index("LABELS")
        labels = row.cells[at].split(",")
        kept = [label for label in labels if not _MACHINE_LABEL.match(label)]
        gone += len(labels) - len(kept)
        copy = sheets.setdefault(id(sheet), Sheet(sheet.names, sheet.header, is_named=sheet.is_named))
        trimmed += copy.take([Row((*row.cells[:at], ",".join(kept) or "<none>", *row.cells[at + 1 :]), row.line)])
    return trimmed, gone
