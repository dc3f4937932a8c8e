"use strict";
// Everything here only moves and hides what the document already holds: without a script the
// picture and the table are whole.
(() => {
  const svg = document.querySelector(".stage svg");
  const stage = document.querySelector(".stage");
  const detail = document.querySelector(".detail");
  const LINE = 14;
  const top = Number(svg.dataset.top);
  const number = (element, name) => Number(element.getAttribute(name));

  const steps = [...svg.querySelectorAll(".step")].map((element) => ({
    element,
    start: number(element, "data-start"),
    end: number(element, "data-end"),
    height: number(element, "data-height"),
    rule: element.querySelector("path"),
    texts: [...element.querySelectorAll("text")],
  }));
  const starts = new Map();
  let whole = 0;
  for (const step of steps) {
    step.at = whole;
    starts.set(step.start, whole);
    whole += step.height;
  }
  const limit = steps[steps.length - 1].end;
  starts.set(limit, whole);
  const bottom = top + whole;

  const things = [...svg.querySelectorAll(".box, .collision")].map((element) => ({
    element,
    box: element.classList.contains("box"),
    start: number(element, "data-start"),
    end: number(element, "data-end"),
    rects: [...element.querySelectorAll("rect.over")],
    sides: element.classList.contains("box") ? [element] : [...element.querySelectorAll(".side")],
  }));
  for (const thing of things) {
    thing.lines = thing.sides.map((side) => {
      const plates = [...side.querySelectorAll("rect.plate, rect.wash:not(.over)")];
      return [...side.querySelectorAll("text")].map((text, i) => ({ text, plate: plates[i] }));
    });
  }
  const boxes = things.filter((thing) => thing.box);
  // The end of what is worth a look: the last bound that is not the end of all addresses.
  const reach = Math.max(
    1,
    ...boxes.flatMap((b) => [b.start, b.end]).filter((bound) => bound < limit)
  ) * 1.02;

  // The scale: "folded" gives every stretch its own height, "true" is to size.
  let scale = "folded";
  let view = [0, whole];
  const extent = () => (scale === "folded" ? whole : Math.min(reach, limit));
  const least = () => (scale === "folded" ? 24 : 64);
  const unitOf = (address) => {
    if (scale === "true") return address;
    const known = starts.get(address);
    if (known !== undefined) return known;
    const step = steps.find((s) => s.start <= address && address < s.end);
    if (!step) return whole;
    return step.at + (step.height * (address - step.start)) / (step.end - step.start);
  };
  const yOf = (address) =>
    top + ((unitOf(address) - view[0]) / (view[1] - view[0])) * (bottom - top);
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const show = (element, visible) =>
    visible ? element.removeAttribute("display") : element.setAttribute("display", "none");

  const draw = () => {
    let free = top - 1;
    for (const step of steps) {
      const y = yOf(step.start);
      const end = yOf(step.end);
      const seen = end > top && y < bottom;
      const at = Math.max(y, top);
      const room = seen && at >= free && Math.min(end, bottom) - at >= 0 && at + 13 <= bottom + 8;
      show(step.element, seen);
      if (!seen) continue;
      step.rule.setAttribute("transform", `translate(0 ${at - number(step.rule, "data-y")})`);
      for (const text of step.texts) {
        show(text, room);
        text.setAttribute("y", at + 13);
      }
      if (room) free = at + 13;
    }
    for (const thing of things) {
      const from = yOf(thing.start);
      const to = yOf(thing.end);
      const seen = to > top && from < bottom;
      show(thing.element, seen);
      if (!seen) continue;
      const y = clamp(from, top - 4, bottom);
      const height = clamp(to, top, bottom + 4) - y;
      for (const rect of thing.rects) {
        rect.setAttribute("y", y + (height > 4 ? 1 : 0));
        rect.setAttribute("height", Math.max(height - 2, 1.5));
      }
      const inside = Math.max(y, top);
      const room = Math.min(y + height, bottom) - inside;
      const first = room >= 30 ? 14 : Math.min((room + 9) / 2, 14);
      const fits = room < 12 ? 0 : Math.max(Math.floor((room - 4) / LINE), 1);
      for (const lines of thing.lines) {
        lines.forEach(({ text, plate }, i) => {
          show(text, i < fits);
          text.setAttribute("y", inside + first + i * LINE);
          if (plate) {
            show(plate, i < fits);
            plate.setAttribute("y", inside + first + i * LINE - 10.5);
          }
        });
      }
    }
    stage.classList.toggle("zoomed", view[1] - view[0] < extent() * 0.999);
  };
  for (const step of steps) {
    step.rule.setAttribute("data-y", step.rule.getAttribute("d").match(/ (-?[\d.]+)H/)[1]);
  }

  const look = (from, to) => {
    const size = clamp(to - from, least(), extent());
    const start = clamp(from, 0, extent() - size);
    view = [start, start + size];
    draw();
  };
  const zoom = (factor, y = (top + bottom) / 2) => {
    const share = clamp((y - top) / (bottom - top), 0, 1);
    const at = view[0] + share * (view[1] - view[0]);
    const size = clamp((view[1] - view[0]) / factor, least(), extent());
    look(at - share * size, at + (1 - share) * size);
  };
  const pan = (share) => {
    const by = share * (view[1] - view[0]);
    look(view[0] + by, view[1] + by);
  };
  const reset = () => look(0, extent());
  const zoomTo = (thing) => {
    const from = unitOf(thing.start);
    const to = unitOf(thing.end);
    const margin = Math.max((to - from) * 0.6, least() / 2);
    look(from - margin, to + margin);
  };

  // One thing is picked at a time; its row in the table has all there is to say.
  let picked = null;
  const row = (element) => document.querySelector(`tr[data-box="${element.id}"]`);
  const say = (title, pairs) => {
    const list = document.createElement("dl");
    for (const [term, words] of pairs) {
      if (!words) continue;
      const name = document.createElement("dt");
      const value = document.createElement("dd");
      name.textContent = term;
      value.textContent = words;
      const pair = document.createElement("div");
      pair.append(name, value);
      list.append(pair);
    }
    const head = document.createElement("h2");
    head.textContent = title;
    detail.replaceChildren(head, list);
    detail.hidden = false;
  };
  const read = (element) => {
    const source = row(element);
    const heads = [...source.closest("table").querySelectorAll("thead th")];
    const cells = [...source.children];
    const pairs = cells.map((cell, i) => [heads[i].textContent, cell.textContent]);
    say(pairs.find((pair) => pair[0] === "What")[1], pairs.filter((p) => p[0] !== "What"));
  };
  const pick = (element, { focus = false } = {}) => {
    if (picked) {
      picked.classList.remove("picked");
      picked.setAttribute("tabindex", "-1");
      row(picked).classList.remove("picked");
    }
    picked = element;
    element.classList.add("picked");
    element.setAttribute("tabindex", "0");
    row(element).classList.add("picked");
    read(element);
    if (focus) element.focus({ preventScroll: false });
  };
  const shown = () => boxes.filter((b) => !b.element.closest("[hidden]"));

  svg.addEventListener("pointerover", (event) => {
    const box = event.target.closest(".box");
    if (box) read(box);
    else if (picked) read(picked);
  });
  svg.addEventListener("click", (event) => {
    const box = event.target.closest(".box");
    if (box) pick(box, { focus: true });
  });
  svg.addEventListener("dblclick", (event) => {
    const box = event.target.closest(".box");
    if (box) zoomTo(boxes.find((b) => b.element === box));
  });
  svg.addEventListener("focusin", (event) => {
    const box = event.target.closest(".box");
    if (box && box !== picked) pick(box);
  });

  // Keys: up and down within a column, left and right to the nearest box of the next column.
  const move = (key) => {
    const all = shown();
    // What has the focus counts: a page that is not in front gets no focus events.
    const at = document.activeElement.closest(".box") || picked;
    const here = all.find((b) => b.element === at) || all[0];
    const columns = [...svg.querySelectorAll(".column:not([hidden])")];
    const column = here.element.closest(".column");
    const within = (group) => all.filter((b) => b.element.closest(".column") === group);
    let next;
    if (key === "ArrowDown" || key === "ArrowUp") {
      const list = within(column);
      next = list[list.indexOf(here) + (key === "ArrowDown" ? 1 : -1)];
    } else {
      const step = key === "ArrowRight" ? 1 : -1;
      for (let i = columns.indexOf(column) + step; columns[i] && !next; i += step) {
        const list = within(columns[i]);
        const far = (b) => Math.abs(unitOf(b.start) - unitOf(here.start));
        next = list.reduce((best, b) => (!best || far(b) < far(best) ? b : best), undefined);
      }
    }
    if (!next) return;
    const y = yOf(next.start);
    if (y < top || y > bottom - 10) {
      const half = (view[1] - view[0]) / 2;
      look(unitOf(next.start) - half, unitOf(next.start) + half);
    }
    pick(next.element, { focus: true });
  };
  const keys = {
    "+": () => zoom(1.6), "=": () => zoom(1.6), "-": () => zoom(1 / 1.6), 0: reset,
    Escape: reset, PageDown: () => pan(0.5), PageUp: () => pan(-0.5),
    Enter: () => picked && zoomTo(boxes.find((b) => b.element === picked)),
  };
  svg.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key.startsWith("Arrow")) move(event.key);
    else if (keys[event.key]) keys[event.key]();
    else return;
    event.preventDefault();
  });

  const yIn = (event) => {
    const area = svg.getBoundingClientRect();
    return ((event.clientY - area.top) / area.height) * svg.viewBox.baseVal.height;
  };
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.shiftKey) return;
    event.preventDefault();
    if (event.shiftKey) pan((event.deltaY || event.deltaX) / 800);
    else zoom(Math.exp(-event.deltaY / 300), yIn(event));
  }, { passive: false });
  let grip = null;
  stage.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && stage.classList.contains("zoomed")) grip = { y: yIn(event), view };
  });
  window.addEventListener("pointermove", (event) => {
    if (!grip) return;
    stage.classList.add("dragging");
    const by = ((grip.y - yIn(event)) / (bottom - top)) * (grip.view[1] - grip.view[0]);
    look(grip.view[0] + by, grip.view[1] + by);
  });
  window.addEventListener("pointerup", () => {
    grip = null;
    stage.classList.remove("dragging");
  });

  // Filters: columns close up, rows of the table follow.
  const boxesOf = (name) => [...document.querySelectorAll(`input[name="${name}"]`)];
  const filter = () => {
    const off = (name) => new Set(boxesOf(name).filter((i) => !i.checked).map((i) => i.value));
    const sides = off("side");
    const kinds = off("kind");
    let x = number(svg, "data-axis");
    for (const column of svg.querySelectorAll(".column")) {
      const key = column.dataset.column;
      const gone = sides.has(key);
      const by = x - number(column, "data-x");
      for (const part of [column, ...svg.querySelectorAll(`[data-of="${key}"]`)]) {
        part.toggleAttribute("hidden", gone);
        part.setAttribute("transform", `translate(${by} 0)`);
      }
      if (!gone) x += number(column, "data-width") + number(svg, "data-gap");
    }
    const width = Math.max(x - number(svg, "data-gap") + number(svg, "data-margin"), 320);
    svg.setAttribute("width", width);
    svg.setAttribute("viewBox", `0 0 ${width} ${svg.viewBox.baseVal.height}`);
    for (const { element } of boxes) element.toggleAttribute("hidden", kinds.has(element.dataset.kind));
    for (const collision of svg.querySelectorAll(".collision")) {
      collision.toggleAttribute("hidden", kinds.has("clash"));
    }
    for (const line of document.querySelectorAll("tr[data-box]")) {
      line.hidden = sides.has(line.dataset.side) || kinds.has(line.dataset.kind);
    }
  };
  for (const input of [...boxesOf("side"), ...boxesOf("kind")]) {
    input.addEventListener("change", filter);
  }

  // "Go to" finds who is at an address.
  const go = (text) => {
    const clean = text.trim().replaceAll("_", "").toLowerCase();
    if (!/^(0x[0-9a-f]+|[0-9]+)$/.test(clean) || BigInt(clean) >= 1n << 64n) {
      say("Go to", [["Address", `'${text}' is no 64-bit address; write 0xfee00000`]]);
      return;
    }
    const exact = BigInt(clean);
    const bound = (b, name) => BigInt(b.element.getAttribute(name));
    const there = shown().filter((b) => bound(b, "data-start") <= exact && exact < bound(b, "data-end"));
    const least = there.reduce((a, b) => (!a || b.end - b.start < a.end - a.start ? b : a), null);
    if (least) {
      zoomTo(least);
      pick(least.element);
    }
    const words = there.map((b) => {
      const side = b.element.closest(".column").getAttribute("aria-label");
      return `${side}: ${b.element.dataset.words}`;
    });
    say(`At 0x${exact.toString(16)}`, words.length ? words.map((w, i) => [i + 1, w]) : [["Here", "nothing"]]);
  };

  const on = (id, event, work) => document.getElementById(id).addEventListener(event, work);
  on("zoom-in", "click", () => zoom(1.6));
  on("zoom-out", "click", () => zoom(1 / 1.6));
  on("zoom-whole", "click", reset);
  on("scale", "change", (event) => {
    scale = event.target.value;
    reset();
  });
  on("go", "submit", (event) => {
    event.preventDefault();
    go(document.getElementById("address").value);
  });
  for (const line of document.querySelectorAll("tr[data-box]")) {
    line.addEventListener("click", () => pick(document.getElementById(line.dataset.box)));
  }
  window.addEventListener("beforeprint", () => {
    scale = "folded";
    document.getElementById("scale").value = scale;
    reset();
  });

  document.querySelector(".toolbar").hidden = false;
  if (boxes.length) boxes[0].element.setAttribute("tabindex", "0");
  const named = () => location.hash.startsWith("#0x") && go(location.hash.slice(1));
  window.addEventListener("hashchange", named);
  draw();
  named();
})();
