/*
 * The worst guest a virtio-mem device may have: of what is requested once, it plugs one block from
 * the end of the usable region and one from its start in turn, which the specification allows.
 * It tells how that went on the debug console (port 0xe9). Started as a multiboot kernel; it needs
 * no memory map, no interrupts and no operating system.
 *
 * Layouts from the VIRTIO 1.2 specification: 2.7 (split virtqueues), 4.1.4 (PCI capabilities),
 * 5.15 (memory device).
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

__attribute__((section(".multiboot"), used)) static const u32 header[] = {
	0x1badb002, 0, -0x1badb002,
};

__attribute__((aligned(4096), used)) static u8 stack[16384];
enum { SLOTS = 8 };
struct desc { u64 addr; u32 len; u16 flags, next; };
__attribute__((aligned(4096))) static struct desc descs[SLOTS];
__attribute__((aligned(4096))) static volatile struct { u16 flags, idx, ring[SLOTS]; } avail;
__attribute__((aligned(4096))) static volatile struct { u16 flags, idx; struct { u32 id, len; } ring[SLOTS]; } used;
static struct { u16 type, pad[3]; u64 addr; u16 blocks, pad2[3]; } request;
static volatile struct { u16 type, pad[7]; } response;

static void out32(u16 port, u32 value) { __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }
static u32 in32(u16 port) { u32 value; __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port)); return value; }
static void out8(u16 port, u8 value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }

static void say(const char *text) { while (*text) out8(0xe9, *text++); }
static void say_hex(u64 value)
{
	int shift;
	say("0x");
	for (shift = 60; shift >= 0; shift -= 4)
		out8(0xe9, "0123456789abcdef"[(u32)(value >> shift) & 15]);
}

static u32 config(u32 slot, u32 at) { out32(0xcf8, 0x80000000u | slot << 11 | (at & ~3u)); return in32(0xcfc) >> (at & 3) * 8; }
static void set_config(u32 slot, u32 at, u32 value) { out32(0xcf8, 0x80000000u | slot << 11 | at); out32(0xcfc, value); }

struct common {
	u32 device_feature_select, device_feature, driver_feature_select, driver_feature;
	u16 msix_config, num_queues;
	u8 device_status, config_generation;
	u16 queue_select, queue_size, queue_msix_vector, queue_enable, queue_notify_off;
	u32 queue_desc[2], queue_driver[2], queue_device[2];
};
struct memory { u64 block_size; u16 node, pad[3]; u64 addr, region, usable, plugged, requested; };

static volatile struct common *common;
static volatile struct memory *memory;
static volatile u16 *notify;
static u32 notify_step;

static void find(u32 slot)
{
	u32 at = config(slot, 0x34) & 0xff;
	set_config(slot, 4, config(slot, 4) | 6);
	for (; at; at = config(slot, at + 1) & 0xff) {
		u32 base, kind;
		if ((config(slot, at) & 0xff) != 9)
			continue;
		kind = config(slot, at + 3) & 0xff;
		base = (config(slot, 0x10 + 4 * (config(slot, at + 4) & 0xff)) & ~15u) + config(slot, at + 8);
		if (kind == 1)
			common = (void *)base;
		else if (kind == 2) {
			notify = (void *)base;
			notify_step = config(slot, at + 16);
		} else if (kind == 4)
			memory = (void *)base;
	}
}

static void begin(void)
{
	u32 low;
	common->device_status = 0;
	common->device_status = 1;
	common->device_status = 3;
	common->device_feature_select = 0;
	low = common->device_feature;
	common->driver_feature_select = 0;
	common->driver_feature = low & 3;
	common->driver_feature_select = 1;
	common->driver_feature = 1; /* VIRTIO_F_VERSION_1 */
	common->device_status = 11;
	common->queue_select = 0;
	common->queue_size = SLOTS;
	common->queue_desc[0] = (u32)descs;
	common->queue_driver[0] = (u32)&avail;
	common->queue_device[0] = (u32)&used;
	notify = (void *)((u32)notify + common->queue_notify_off * notify_step);
	common->queue_enable = 1;
	common->device_status = 15;
}

static u16 plug(u64 addr)
{
	u16 before = used.idx;
	request.type = 0;
	request.addr = addr;
	request.blocks = 1;
	response.type = 0xffff;
	descs[0].addr = (u32)&request;
	descs[0].len = 24;
	descs[0].flags = 1;
	descs[0].next = 1;
	descs[1].addr = (u32)&response;
	descs[1].len = 10;
	descs[1].flags = 2;
	avail.ring[avail.idx % SLOTS] = 0;
	__asm__ volatile("" : : : "memory");
	avail.idx++;
	*notify = 0;
	while (used.idx == before)
		__asm__ volatile("pause" : : : "memory");
	return response.type;
}

/* Wait for a request, then plug from both ends of the usable region until it is met. */
static void run(void)
{
	u32 slot, turn;
	u64 low, high;
	for (slot = 0; slot < 32 && config(slot, 0) != 0x10581af4; slot++)
		;
	if (slot == 32) {
		say("no virtio-mem device\n");
		return;
	}
	find(slot);
	begin();
	say("ready\n");
	while (!memory->requested)
		;
	low = memory->addr;
	high = memory->addr + memory->usable;
	for (turn = 0; memory->plugged < memory->requested; turn++) {
		u64 next = turn & 1 ? low : high - memory->block_size;
		u16 answer = plug(next);
		if (answer) {
			say("refused ");
			say_hex(next);
			say("\n");
			return;
		}
		if (turn & 1)
			low += memory->block_size;
		else
			high -= memory->block_size;
	}
	say("plugged\n");
}

__attribute__((noreturn, used)) void start(void)
{
	run();
	for (;;)
		__asm__ volatile("cli; hlt");
}

__asm__(".globl _start\n_start: mov $stack + 16384, %esp\n\tcall start\n");
