"""CPU models as drivers of ``device_add``: of x86, s390x and POWER, which plug them."""

from __future__ import annotations

from typing import Final

__all__ = ["CPUS"]

_X86: Final = """
    486 486-v1 athlon athlon-v1 base Broadwell Broadwell-IBRS Broadwell-noTSX Broadwell-noTSX-IBRS
    Broadwell-v1 Broadwell-v2 Broadwell-v3 Broadwell-v4 Cascadelake-Server Cascadelake-Server-noTSX
    Cascadelake-Server-v1 Cascadelake-Server-v2 Cascadelake-Server-v3 Cascadelake-Server-v4
    Cascadelake-Server-v5 Cascadelake-Server-v6 Cascadelake-Server-v7 ClearwaterForest
    ClearwaterForest-v1 ClearwaterForest-v2 ClearwaterForest-v3 ClearwaterForest-v4 Conroe Conroe-v1
    Cooperlake Cooperlake-v1 Cooperlake-v2 core2duo core2duo-v1 coreduo coreduo-v1 Denverton
    Denverton-v1 Denverton-v2 Denverton-v3 Dhyana Dhyana-v1 Dhyana-v2 DiamondRapids DiamondRapids-v1
    DiamondRapids-v2 EPYC EPYC-Genoa EPYC-Genoa-v1 EPYC-Genoa-v2 EPYC-Genoa-v3 EPYC-IBPB EPYC-Milan
    EPYC-Milan-v1 EPYC-Milan-v2 EPYC-Milan-v3 EPYC-Milan-v4 EPYC-Rome EPYC-Rome-v1 EPYC-Rome-v2
    EPYC-Rome-v3 EPYC-Rome-v4 EPYC-Rome-v5 EPYC-Turin EPYC-Turin-v1 EPYC-Turin-v2 EPYC-v1 EPYC-v2
    EPYC-v3 EPYC-v4 EPYC-v5 GraniteRapids GraniteRapids-v1 GraniteRapids-v2 GraniteRapids-v3
    GraniteRapids-v4 GraniteRapids-v5 GraniteRapids-v6 GraniteRapids-v7 Haswell Haswell-IBRS
    Haswell-noTSX Haswell-noTSX-IBRS Haswell-v1 Haswell-v2 Haswell-v3 Haswell-v4 host Icelake-Server
    Icelake-Server-noTSX Icelake-Server-v1 Icelake-Server-v2 Icelake-Server-v3 Icelake-Server-v4
    Icelake-Server-v5 Icelake-Server-v6 Icelake-Server-v7 Icelake-Server-v8 Icelake-Server-v9
    IvyBridge IvyBridge-IBRS IvyBridge-v1 IvyBridge-v2 KnightsMill KnightsMill-v1 kvm32 kvm32-v1
    kvm64 kvm64-v1 max n270 n270-v1 Nehalem Nehalem-IBRS Nehalem-v1 Nehalem-v2 Opteron_G1
    Opteron_G1-v1 Opteron_G2 Opteron_G2-v1 Opteron_G3 Opteron_G3-v1 Opteron_G4 Opteron_G4-v1
    Opteron_G5 Opteron_G5-v1 Penryn Penryn-v1 pentium pentium-v1 pentium2 pentium2-v1 pentium3
    pentium3-v1 phenom phenom-v1 qemu32 qemu32-v1 qemu64 qemu64-v1 SandyBridge SandyBridge-IBRS
    SandyBridge-v1 SandyBridge-v2 SapphireRapids SapphireRapids-v1 SapphireRapids-v2
    SapphireRapids-v3 SapphireRapids-v4 SapphireRapids-v5 SapphireRapids-v6 SapphireRapids-v7
    SapphireRapids-v8 SierraForest SierraForest-v1 SierraForest-v2 SierraForest-v3 SierraForest-v4
    SierraForest-v5 SierraForest-v6 Skylake-Client Skylake-Client-IBRS Skylake-Client-noTSX-IBRS
    Skylake-Client-v1 Skylake-Client-v2 Skylake-Client-v3 Skylake-Client-v4 Skylake-Server
    Skylake-Server-IBRS Skylake-Server-noTSX-IBRS Skylake-Server-v1 Skylake-Server-v2
    Skylake-Server-v3 Skylake-Server-v4 Skylake-Server-v5 Skylake-Server-v6 Snowridge Snowridge-v1
    Snowridge-v2 Snowridge-v3 Snowridge-v4 Westmere Westmere-IBRS Westmere-v1 Westmere-v2 YongFeng
    YongFeng-v1 YongFeng-v2 YongFeng-v3
"""
_OTHERS: Final = """
    970_v2.2-spapr-cpu-core 970mp_v1.0-spapr-cpu-core 970mp_v1.1-spapr-cpu-core
    gen15a-base-s390x-cpu gen15a-s390x-cpu gen15b-base-s390x-cpu gen15b-s390x-cpu
    gen16a-base-s390x-cpu gen16a-s390x-cpu gen16b-base-s390x-cpu gen16b-s390x-cpu max-s390x-cpu
    power10_v1.0-spapr-cpu-core power10_v2.0-spapr-cpu-core power5+_v2.1-spapr-cpu-core
    power7+_v2.1-spapr-cpu-core power7_v2.3-spapr-cpu-core power8_v2.0-spapr-cpu-core
    power8e_v2.1-spapr-cpu-core power8nvl_v1.0-spapr-cpu-core power9_v1.0-spapr-cpu-core
    power9_v2.0-spapr-cpu-core qemu-s390x-cpu z10BC-base-s390x-cpu z10BC-s390x-cpu
    z10BC.2-base-s390x-cpu z10BC.2-s390x-cpu z10EC-base-s390x-cpu z10EC-s390x-cpu
    z10EC.2-base-s390x-cpu z10EC.2-s390x-cpu z10EC.3-base-s390x-cpu z10EC.3-s390x-cpu
    z114-base-s390x-cpu z114-s390x-cpu z13-base-s390x-cpu z13-s390x-cpu z13.2-base-s390x-cpu
    z13.2-s390x-cpu z13s-base-s390x-cpu z13s-s390x-cpu z14-base-s390x-cpu z14-s390x-cpu
    z14.2-base-s390x-cpu z14.2-s390x-cpu z14ZR1-base-s390x-cpu z14ZR1-s390x-cpu z196-base-s390x-cpu
    z196-s390x-cpu z196.2-base-s390x-cpu z196.2-s390x-cpu z800-base-s390x-cpu z800-s390x-cpu
    z890-base-s390x-cpu z890-s390x-cpu z890.2-base-s390x-cpu z890.2-s390x-cpu z890.3-base-s390x-cpu
    z890.3-s390x-cpu z900-base-s390x-cpu z900-s390x-cpu z900.2-base-s390x-cpu z900.2-s390x-cpu
    z900.3-base-s390x-cpu z900.3-s390x-cpu z990-base-s390x-cpu z990-s390x-cpu z990.2-base-s390x-cpu
    z990.2-s390x-cpu z990.3-base-s390x-cpu z990.3-s390x-cpu z990.4-base-s390x-cpu z990.4-s390x-cpu
    z990.5-base-s390x-cpu z990.5-s390x-cpu z9BC-base-s390x-cpu z9BC-s390x-cpu z9BC.2-base-s390x-cpu
    z9BC.2-s390x-cpu z9EC-base-s390x-cpu z9EC-s390x-cpu z9EC.2-base-s390x-cpu z9EC.2-s390x-cpu
    z9EC.3-base-s390x-cpu z9EC.3-s390x-cpu zBC12-base-s390x-cpu zBC12-s390x-cpu zEC12-base-s390x-cpu
    zEC12-s390x-cpu zEC12.2-base-s390x-cpu zEC12.2-s390x-cpu
"""
CPUS: Final = " ".join(
    (*(f"{model}-{target}-cpu" for model in _X86.split() for target in ("x86_64", "i386")), _OTHERS)
)
