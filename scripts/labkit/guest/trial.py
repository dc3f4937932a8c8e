"""The trial: ask the kernel for its usable ranges and for its verdict on each span."""

import errno

import agent_pci
import take
import vfio

#: Largest span that is really mapped; larger ones are judged by EFAULT, see vfio.anonymous().
REAL = 16 << 20
HUGE = 1 << 45


def run(job):
    """Take the host's facts, then try each batch: devices and spans."""
    for batch in job["batches"]:
        for device in batch["devices"]:
            for member in vfio.members(vfio.group_of(device) or "") if vfio.group_of(device) else ():
                if vfio.driver_of(member) != "vfio-pci":
                    agent_pci.bind(member)
    facts = take.run(job)
    real, huge = vfio.memory(REAL), vfio.anonymous(HUGE)
    facts["batches"] = [attempt(batch, real, huge) for batch in job["batches"]]
    return facts


def attempt(batch, real, huge):
    """Try one batch."""
    groups = []
    for device in batch["devices"]:
        group = vfio.group_of(device)
        if group is None:
            return {"refused": "no group", "errno": "ENODEV"}
        if group not in groups:
            groups.append(group)
    try:
        container = vfio.Container(groups)
    except OSError as error:
        return {"refused": str(error.strerror), "errno": errno.errorcode.get(error.errno, "?")}
    pages, ranges = container.ranges()
    verdicts = []
    for start, size in batch["spans"]:
        code = container.map(real if size <= REAL else huge, start, size)
        if code == errno.EFAULT and size > REAL:
            code = 0
        verdicts.append(code)
    container.close()
    return {"pages": pages, "ranges": ranges, "verdicts": verdicts, "groups": groups}
