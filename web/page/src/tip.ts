// A tip beside the pointer, in a box that is positioned.

/** Puts a tip beside a point of its box, on the side where there is room. */
export function place(tip: HTMLElement, box: HTMLElement, x: number, y: number): void {
  tip.hidden = false;
  const left = x + 14 + tip.offsetWidth > box.clientWidth ? Math.max(x - 14 - tip.offsetWidth, 0) : x + 14;
  const top = y + 14 + tip.offsetHeight > box.clientHeight ? Math.max(y - 14 - tip.offsetHeight, 0) : y + 14;
  tip.style.transform = `translate(${left}px, ${top}px)`;
}
