"""What each thing QEMU can be told does to the map: data, measured by ``scripts/guard-effects``.

One module for each kind of name, with a ``TABLE``: ``commands``, ``human``, ``objects``,
``drivers``, ``arguments`` (of ``device_add``), ``properties`` (of ``qom-set``), ``chardevs`` and
``netdevs``; and ``questions``, what the guard itself may ask. The names are those of QEMU 7.2, 10.0
and 11.1. What stands in no table is refused. docs/reference/guard-tables.md shows them with what
was seen.
"""
