"""Devices that only boards make: QEMU's ``device_add`` offers none of them."""

from __future__ import annotations

from typing import Final

__all__ = ["PARTS"]

PARTS: Final = """
    a15mpcore_priv a64fx-arm-cpu a9-scu a9mpcore_priv acpi-ged acpi-ged-x86 allwinner-a10
    allwinner-a10-ccm allwinner-a10-dramc allwinner-a10-pic allwinner-A10-timer allwinner-ahci
    allwinner-cpucfg allwinner-emac allwinner-h3 allwinner-h3-ccu allwinner-h3-dramc
    allwinner-h3-sysctrl allwinner-r40 allwinner-r40-ccu allwinner-r40-dramc allwinner-rtc-sun4i
    allwinner-rtc-sun6i allwinner-rtc-sun7i allwinner-sdhost-sun4i allwinner-sdhost-sun50i-a64
    allwinner-sdhost-sun50i-a64-emmc allwinner-sdhost-sun5i allwinner-sid allwinner-sramc
    allwinner-sramc-sun8i-r40 allwinner-sun8i-emac allwinner-wdt-sun4i allwinner-wdt-sun6i
    allwinner.i2c allwinner.i2c-sun6i allwinner.spi apic ARM-bitband-memory arm-gicv2m arm-gicv3
    arm-gicv3-its arm-gicv5 arm.cortex-a9-global-timer arm1026-arm-cpu arm11-scu arm1136-arm-cpu
    arm1136-r2-arm-cpu arm1176-arm-cpu arm11mpcore-arm-cpu arm11mpcore_priv arm926-arm-cpu
    arm946-arm-cpu arm_gic arm_mptimer armsse-cpu-pwrctrl armsse-cpuid armsse-mhu armv7m armv7m-ras
    armv7m_nvic armv7m_systick aspeed-mmi aspeed.adc-ast1030 aspeed.adc-ast2400 aspeed.adc-ast2500
    aspeed.adc-ast2600 aspeed.adc-ast2700 aspeed.adc.engine aspeed.apb2opb aspeed.ast1700
    aspeed.fmc-ast1030 aspeed.fmc-ast2400 aspeed.fmc-ast2500 aspeed.fmc-ast2600 aspeed.fmc-ast2700
    aspeed.gpio-ast1030 aspeed.gpio-ast2400 aspeed.gpio-ast2500 aspeed.gpio-ast2600
    aspeed.gpio-ast2600-1_8v aspeed.gpio-ast2700 aspeed.hace aspeed.hace-ast1030 aspeed.hace-ast2400
    aspeed.hace-ast2500 aspeed.hace-ast2600 aspeed.hace-ast2700 aspeed.i2c-ast1030
    aspeed.i2c-ast1040 aspeed.i2c-ast2400 aspeed.i2c-ast2500 aspeed.i2c-ast2600 aspeed.i2c-ast2700
    aspeed.i2c.bus aspeed.i3c aspeed.i3c.device aspeed.intc-ast2700 aspeed.intc-ast2700-ioexp1
    aspeed.intc-ast2700-ioexp2 aspeed.intc-ast2700ssp aspeed.intc-ast2700tsp aspeed.intcio-ast2700
    aspeed.intcio-ast2700ssp aspeed.intcio-ast2700tsp aspeed.lpc aspeed.ltpi-ctrl aspeed.pcie-cfg
    aspeed.pcie-cfg-ast2700 aspeed.pcie-phy aspeed.pcie-phy-ast2700 aspeed.pcie-rc aspeed.peci
    aspeed.pwm aspeed.rtc aspeed.sbc aspeed.sbc-ast10x0 aspeed.sbc-ast2600 aspeed.scu-ast1030
    aspeed.scu-ast2400 aspeed.scu-ast2500 aspeed.scu-ast2600 aspeed.scu-ast2700 aspeed.scuio-ast2700
    aspeed.sdhci aspeed.sdhci-ast2400 aspeed.sdhci-ast2500 aspeed.sdhci-ast2600 aspeed.sdhci-ast2700
    aspeed.sdmc-ast2400 aspeed.sdmc-ast2500 aspeed.sdmc-ast2600 aspeed.sdmc-ast2700
    aspeed.sgpio-ast2700 aspeed.sli-ast2700 aspeed.sliio-ast2700 aspeed.smc-ast2400 aspeed.smc.flash
    aspeed.spi0-ast2700 aspeed.spi1-ast1030 aspeed.spi1-ast2400 aspeed.spi1-ast2500
    aspeed.spi1-ast2600 aspeed.spi1-ast2700 aspeed.spi2-ast1030 aspeed.spi2-ast2500
    aspeed.spi2-ast2600 aspeed.spi2-ast2700 aspeed.timer-ast1030 aspeed.timer-ast2400
    aspeed.timer-ast2500 aspeed.timer-ast2600 aspeed.timer-ast2700 aspeed.vic aspeed.wdt-ast1030
    aspeed.wdt-ast2400 aspeed.wdt-ast2500 aspeed.wdt-ast2600 aspeed.wdt-ast2700 aspeed.xdma-ast2400
    aspeed.xdma-ast2500 aspeed.xdma-ast2600 aspeed27x0ssp-coprocessor aspeed27x0tsp-coprocessor
    ast1030-a1 ast1040-a0 ast1060-a2 ast2400-a1 ast2500-a1 ast2600-a3 ast2700-a0 ast2700-a1
    ast2700-a2 aux-to-i2c-bridge aw-h3-ehci-usb base-xhci bcm2835 bcm2835-aux bcm2835-cprman
    bcm2835-dma bcm2835-fb bcm2835-i2c bcm2835-ic bcm2835-mbox bcm2835-mphi bcm2835-otp
    bcm2835-peripherals bcm2835-powermgt bcm2835-property bcm2835-rng bcm2835-sdhost bcm2835-spi
    bcm2835-sys-timer bcm2835-thermal bcm2835_gpio bcm2836 bcm2836-control bcm2837 bcm2838
    bcm2838-gpio bcm2838-peripherals cadence_gem cadence_ttc cadence_uart cfi.pflash01 cfi.pflash02
    cmsdk-apb-dualtimer cmsdk-apb-timer cmsdk-apb-uart cmsdk-apb-watchdog cortex-a15-arm-cpu
    cortex-a35-arm-cpu cortex-a53-arm-cpu cortex-a55-arm-cpu cortex-a57-arm-cpu cortex-a7-arm-cpu
    cortex-a710-arm-cpu cortex-a72-arm-cpu cortex-a76-arm-cpu cortex-a78ae-arm-cpu cortex-a8-arm-cpu
    cortex-a9-arm-cpu cortex-m0-arm-cpu cortex-m3-arm-cpu cortex-m33-arm-cpu cortex-m4-arm-cpu
    cortex-m55-arm-cpu cortex-m7-arm-cpu cortex-r5-arm-cpu cortex-r52-arm-cpu cortex-r5f-arm-cpu
    cpu-cluster cxl-fmw designware-pcie-host designware-pcie-root digic digic-timer digic-uart
    dscm1xxxx dw.i3c dwc2-usb esp exynos4210 exynos4210-ehci-usb exynos4210.clk exynos4210.combiner
    exynos4210.fimd exynos4210.gic exynos4210.i2c exynos4210.mct exynos4210.pmu exynos4210.pwm
    exynos4210.rng exynos4210.rtc exynos4210.uart flexcan2 flexcan3 fsl-esdhc-be fsl-esdhc-le
    fsl-imx25 fsl-imx31 fsl-imx6 fsl-imx6ul fsl-imx7 fsl-imx8m-pcie-phy fsl-imx8mm fsl-imx8mp
    ftgmac100 fusbh200-ehci-usb fw_cfg_io fw_cfg_mem generic-sdhci gpex-pcihost gpex-root gpio-key
    gpio-pwr gpio_i2c highbank-regs hpet hyperv-synic i440FX i440FX-pcihost i8042-mmio i8257
    ICH9-LPC ICH9-SMB icp-ctrl-regs igbvf imx-gpcv2 imx-usdhc imx.avic imx.enet imx.epit imx.fec
    imx.gpio imx.i2c imx.rngc imx.serial imx.spi imx.usbphy imx2.wdt imx25.ccm imx25.gpt imx31.ccm
    imx31.gpt imx6.ccm imx6.gpt imx6.src imx6ul-lcdif imx6ul.ccm imx6ul.gpt imx7.analog imx7.ccm
    imx7.gpr imx7.gpt imx7.snvs imx7.src imx8mm.gpt imx8mp.analog imx8mp.ccm imx8mp.gpt
    integrator_core integrator_debug integrator_pic integrator_pit ioapic iotkit iotkit-secctl
    iotkit-sysctl iotkit-sysinfo isa-i8259 isa-pcspk isa-pit isabus-bridge ivshmem-flat kvm-apic
    kvm-i8259 kvm-ioapic kvm-pit kvmclock kvmvapic l2x0 lan9118 lan9118-phy luminary-watchdog
    mainstone-fpga max-arm-cpu max78000-aes max78000-gcr max78000-icc max78000-soc max78000-trng
    max78000-uart mch microbit.i2c migration mps2-fpgaio mps2-scc msf2-emac msf2-soc msf2-sysreg
    mss-spi mss-timer musicpal-misc musicpal_gpio musicpal_key musicpal_lcd mv88w8618_audio
    mv88w8618_eth mv88w8618_flashcfg mv88w8618_pic mv88w8618_pit mv88w8618_wlan neoverse-n1-arm-cpu
    neoverse-n2-arm-cpu neoverse-v1-arm-cpu nitro-vsock-bridge npcm-gmac npcm-pcs npcm-pspi npcm730
    npcm750 npcm7xx-adc npcm7xx-clk npcm7xx-ehci-usb npcm7xx-emc npcm7xx-fiu npcm7xx-fuse-array
    npcm7xx-gcr npcm7xx-gpio npcm7xx-key-storage npcm7xx-mc npcm7xx-mft npcm7xx-pwm npcm7xx-rng
    npcm7xx-smbus npcm7xx-timer npcm7xx.sdhci npcm8xx npcm8xx-clk npcm8xx-gcr nrf51-soc
    nrf51_soc.gpio nrf51_soc.nvm nrf51_soc.rng nrf51_soc.timer nrf51_soc.uart omap-gpio omap-intc
    omap-mmc omap2-gpio omap2-intc omap_i2c onenand or-irq palm-misc-gpio PIIX3 PIIX3-xen piix4-isa
    PIIX4_PM pl011 pl011_luminary pl022 pl031 pl041 pl050_keyboard pl050_mouse pl061 pl061_luminary
    pl080 pl081 pl110 pl110_versatile pl111 pl181 pl190 pl330 platform-bus-device platform-ehci-usb
    port92 ppc4xx-ehci-usb ps2-kbd ps2-mouse pxa250-arm-cpu pxa255-arm-cpu pxa25x-timer
    pxa260-arm-cpu pxa261-arm-cpu pxa262-arm-cpu pxa270-a0-arm-cpu pxa270-a1-arm-cpu pxa270-arm-cpu
    pxa270-b0-arm-cpu pxa270-b1-arm-cpu pxa270-c0-arm-cpu pxa270-c5-arm-cpu pxa27x-timer pxa2xx-dma
    pxa2xx-fir pxa2xx-gpio pxa2xx-mmci pxa2xx-pcmcia pxa2xx-ssp pxa2xx_i2c pxa2xx_pic pxa2xx_rtc
    pxb-cxl-host pxb-host q35-pcihost qemu-register realview_gic realview_mpcore realview_pci
    realview_sysctl remote-pcihost s3c-sdhci sa1100-arm-cpu sa1110-arm-cpu sbsa-ec sbsa_gwdt scoop
    serial serial-mm sgx-epc sl-nand smbus-eeprom smc91c111 sp804 spitz-keyboard spitz-misc-gpio
    split-irq sse-200 sse-300 sse-counter sse-timer ssi-sd stellaris-adc stellaris-gamepad
    stellaris-gptm stellaris-i2c stellaris-sys stellaris_enet stm32.rcc stm32f100-soc stm32f205-soc
    stm32f2xx-adc stm32f2xx-spi stm32f2xx-syscfg stm32f2xx-timer stm32f2xx-usart stm32f405-soc
    stm32f4xx-exti stm32f4xx-syscfg stm32l4x5-exti stm32l4x5-gpio stm32l4x5-lpuart stm32l4x5-rcc
    stm32l4x5-rcc-clock-mux stm32l4x5-rcc-pll stm32l4x5-syscfg stm32l4x5-uart stm32l4x5-usart
    stm32l4x5xc-soc stm32l4x5xe-soc stm32l4x5xg-soc strongarm-gpio strongarm-ppc strongarm-rtc
    strongarm-ssp strongarm-uart strongarm_pic sysbus-ahci sysbus-esp sysbus-ohci sysbus-xhci
    tegra2-ehci-usb ti925t-arm-cpu tosa-misc-gpio tusb6010 tz-mpc tz-msc tz-ppc unimplemented-device
    usb-chipidea usb_dwc3 versatile_i2c versatile_pci versatile_pci_host versatilepb_sic
    vhost-user-device vhost-user-device-pci virtio-mmio vmport xen-bridge xen-evtchn xen-gnttab
    xen-overlay xen-primary-console xen-sysdev xen-xenstore xgmac xilinx-zynq_slcr xlnx,bbram-ctrl
    xlnx,pmc-efuse-cache xlnx,versal-crl xlnx,versal-efuse xlnx,zynqmp-efuse xlnx-cframe-reg
    xlnx-efuse xlnx-pmc-efuse-cache xlnx-versal xlnx-versal-cfu-apb xlnx-versal-cfu-fdro
    xlnx-versal-cfu-sfr xlnx-versal-crl xlnx-versal-efuse xlnx-versal2 xlnx-versal2-crl
    xlnx-zynmp.rtc xlnx-zynq-xadc xlnx-zynqmp xlnx-zynqmp-efuse xlnx.apu-ctrl xlnx.axi-dma
    xlnx.axi-ethernet xlnx.bbram-ctrl xlnx.cframe-bcast-reg xlnx.csu_dma xlnx.dpdma xlnx.ps7-dev-cfg
    xlnx.ps7-qspi xlnx.ps7-spi xlnx.usmp-gqspi xlnx.v-dp xlnx.versal-canfd xlnx.versal-ospi
    xlnx.versal-pmc-iou-slcr xlnx.versal-trng xlnx.versal-usb2 xlnx.versal-usb2-ctrl-regs
    xlnx.versal-xramc xlnx.xps-intc xlnx.xps-spi xlnx.xps-timer xlnx.xps-uartlite xlnx.zdma
    xlnx.zynqmp-can xlnx.zynqmp_crf xlnx.zynqmp_ipi zynq.ddr-ctlr
"""
