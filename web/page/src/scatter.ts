// The drawing of an embedding's layout, by echarts. Colours and groups come from `coloring`.

import { ScatterChart } from "echarts/charts";
import { DataZoomInsideComponent, GridComponent } from "echarts/components";
import { type EChartsType, init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";
import type { Layout } from "./api";
import type { Group } from "./coloring";
import { fill, h } from "./dom";
import { palette } from "./palette";
import { place } from "./tip";

use([ScatterChart, GridComponent, DataZoomInsideComponent, CanvasRenderer]);

export interface Events {
  /** The pointer rests on a row: what the tip should show of it. */
  describe(row: number): (Node | string)[];
  /** A row was clicked. */
  open(row: number): void;
}

/** From so many points on, echarts draws in its coarser way. */
const LARGE = 20_000;
const MARGIN = 12;
const MARKED = "marked";

export class ScatterDrawing {
  private readonly chart: EChartsType;
  private readonly canvas = h("div", { class: "canvas", role: "img" });
  private readonly tip = h("div", { class: "tip", role: "presentation" });
  private groups: readonly Group[] = [];

  constructor(
    private readonly box: HTMLElement,
    private readonly layout: Layout,
    private readonly marked: number | null,
    private readonly events: Events,
    label: string,
    signal: AbortSignal,
  ) {
    this.canvas.setAttribute("aria-label", label);
    this.tip.hidden = true;
    fill(box, this.canvas, this.tip, this.buttons());
    this.chart = init(this.canvas, null, { renderer: "canvas" });
    this.listen();
    const resized = new ResizeObserver(() => {
      this.chart.resize();
      this.chart.setOption(this.axes());
    });
    resized.observe(box);
    signal.addEventListener("abort", () => {
      resized.disconnect();
      this.chart.dispose();
    });
  }

  /** Draws the groups; those named in `hidden` are left out, and all but `lit`, where there is one, are faded. */
  draw(groups: readonly Group[], hidden: ReadonlySet<string | null>, lit?: string | null): void {
    const { x, y } = this.layout;
    const count = this.layout.keys.length;
    const size = count > 50_000 ? 2.5 : count > 10_000 ? 3.5 : count > 2_000 ? 5 : 8;
    const colors = palette();
    this.groups = groups.filter((group) => !hidden.has(group.name));
    const series = this.groups.map((group) => ({
      type: "scatter" as const,
      data: group.rows.map((row) => [x[row], y[row]]),
      symbol: group.symbol,
      symbolSize: group.symbol === "circle" ? size : size * 1.25,
      large: count > LARGE,
      largeThreshold: 1,
      itemStyle:
        lit === undefined || lit === group.name ? { color: group.color, opacity: 0.85 } : { color: colors.missing, opacity: 0.3 },
      emphasis: { itemStyle: { borderColor: colors.text, borderWidth: 1.5, opacity: 1 } },
      z: lit === group.name ? 3 : 2,
      animation: false,
    }));
    const mark = {
      id: MARKED,
      type: "scatter" as const,
      data: this.marked === null ? [] : [[x[this.marked], y[this.marked]]],
      symbolSize: 20,
      silent: true,
      itemStyle: { color: "transparent", borderColor: colors.text, borderWidth: 2.5 },
      z: 5,
      animation: false,
    };
    this.chart.setOption({ ...this.axes(), series: [...series, mark] }, { replaceMerge: ["series"] });
  }

  /** Axes on which one unit is as long across as up, so that distances are as the layout has them. */
  private axes() {
    const range = (numbers: readonly number[]) =>
      numbers.reduce(([low, high], n) => [Math.min(low, n), Math.max(high, n)] as const, [Infinity, -Infinity] as const);
    const [left, right] = range(this.layout.x);
    const [bottom, top] = range(this.layout.y);
    const width = Math.max(this.chart.getWidth() - 2 * MARGIN, 1);
    const height = Math.max(this.chart.getHeight() - 2 * MARGIN, 1);
    const unit = Math.max((right - left) / width, (top - bottom) / height, 1e-9) * 1.04;
    const axis = (low: number, high: number, pixels: number) => {
      const middle = (low + high) / 2;
      return { type: "value" as const, show: false, min: middle - (unit * pixels) / 2, max: middle + (unit * pixels) / 2 };
    };
    return {
      grid: { left: MARGIN, right: MARGIN, top: MARGIN, bottom: MARGIN },
      xAxis: axis(left, right, width),
      yAxis: axis(bottom, top, height),
      dataZoom: [
        { type: "inside" as const, xAxisIndex: 0, filterMode: "none" as const },
        { type: "inside" as const, yAxisIndex: 0, filterMode: "none" as const },
      ],
    };
  }

  private listen(): void {
    const rowOf = (event: { seriesIndex?: number; dataIndex?: number }) =>
      this.groups[event.seriesIndex ?? -1]?.rows[event.dataIndex ?? -1];
    this.chart.on("mouseover", (event) => {
      const row = rowOf(event);
      if (row === undefined || !event.event) return;
      fill(this.tip, ...this.events.describe(row));
      place(this.tip, this.box, event.event.offsetX, event.event.offsetY);
    });
    this.chart.on("mouseout", () => {
      this.tip.hidden = true;
    });
    this.chart.on("click", (event) => {
      const row = rowOf(event);
      if (row !== undefined) this.events.open(row);
    });
    this.chart.getZr().on("dblclick", () => this.zoom(null));
  }

  /** Zooms about the middle; null shows all. */
  private zoom(by: number | null): void {
    const zooms = (this.chart.getOption() as { dataZoom: { start: number; end: number }[] }).dataZoom;
    zooms.forEach(({ start, end }, dataZoomIndex) => {
      const half = by === null ? 50 : (end - start) / 2 / by;
      const middle = by === null ? 50 : (start + end) / 2;
      this.chart.dispatchAction({
        type: "dataZoom",
        dataZoomIndex,
        start: Math.max(middle - half, 0),
        end: Math.min(middle + half, 100),
      });
    });
  }

  private buttons(): HTMLElement {
    const button = (text: string, label: string, by: number | null) =>
      h("button", { type: "button", title: label, "aria-label": label, onclick: () => this.zoom(by) }, text);
    return h(
      "div",
      { class: "zoom" },
      button("+", "Zoom in", 1.4),
      button("−", "Zoom out", 1 / 1.4),
      button("⤢", "Show all", null),
    );
  }
}
