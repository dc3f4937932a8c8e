"""Plan a guest's physical memory map around what hosts forbid.

The core is pure: bytes and dataclasses in, dataclasses out. Imports point one way::

    span <- region <- findings <- graph <- host, layout, machine <- rules, doorbell,
    placement <- plan <- emit, draw <- cli
"""

__version__ = "0.1.0"
