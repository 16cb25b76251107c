import { useEffect, useId, useRef, useState } from "react";

import { niceCeiling } from "./scale";

const HEIGHT = 176;
const MARGIN = { top: 10, right: 4, bottom: 22, left: 8 };
/** Room for a character of the axis, in pixels. */
const CHAR_WIDTH = 7;
const GAP_SHARE = 0.2;

export interface Series {
  name: string;
  values: readonly number[];
  /** Classes of the bars (`fill-…`), and of the mark in the legend (`bg-…`). */
  fill: string;
  mark: string;
}

interface BarChartProps {
  /** The chart's subject and most important figures, which screen readers read instead of the picture. */
  summary: string;
  labels: readonly string[];
  series: readonly Series[];
  format: (value: number) => string;
}

/** Bars over time; several series are stacked. Each bar names its figures when it is pointed at; the page's table has them all. */
export function BarChart({ summary, labels, series, format }: BarChartProps) {
  const { ref, width } = useWidth();
  return (
    <figure className="grid grid-cols-1 gap-2">
      <div ref={ref} className="h-44 w-full">
        {width > 0 && <Bars width={width} summary={summary} labels={labels} series={series} format={format} />}
      </div>
      {series.length > 1 && (
        <figcaption>
          <ul className="flex flex-wrap gap-x-4 gap-y-1 text-sm text-muted-foreground">
            {series.map(({ name, mark }) => (
              <li key={name} className="flex items-center gap-1.5">
                <span aria-hidden className={`size-2.5 rounded-sm ${mark}`} />
                {name}
              </li>
            ))}
          </ul>
        </figcaption>
      )}
    </figure>
  );
}

function Bars({ width, summary, labels, series, format }: BarChartProps & { width: number }) {
  const titleId = useId();
  const totals = labels.map((_, at) => series.reduce((total, { values }) => total + (values[at] ?? 0), 0));
  const top = niceCeiling(Math.max(...totals, 0));
  const bottom = Math.min(...totals, 0) < 0 ? -niceCeiling(-Math.min(...totals)) : 0;
  const ticks = bottom < 0 ? [bottom, 0, top] : [0, top / 2, top];
  const left = MARGIN.left + Math.max(...ticks.map((tick) => format(tick).length)) * CHAR_WIDTH;
  const plot = { width: width - left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
  const y = (value: number) => MARGIN.top + ((top - value) / (top - bottom)) * plot.height;
  const step = plot.width / labels.length;
  return (
    <svg role="img" aria-labelledby={titleId} width={width} height={HEIGHT} className="block">
      <title id={titleId}>{summary}</title>
      {ticks.map((tick) => (
        <g key={tick}>
          <line x1={left} x2={width - MARGIN.right} y1={y(tick)} y2={y(tick)} className="stroke-border" />
          <text x={left - 6} y={y(tick)} dy="0.32em" textAnchor="end" className="fill-muted-foreground text-xs tabular-nums">
            {format(tick)}
          </text>
        </g>
      ))}
      {labels.map((label, at) => (
        <Bar
          key={label}
          x={left + at * step}
          width={step}
          y={y}
          tip={[label, ...series.map(({ name, values }) => `${name}: ${format(values[at] ?? 0)}`)].join("\n")}
          parts={series.map(({ values, fill }) => ({ value: values[at] ?? 0, fill }))}
        />
      ))}
      <AxisLabels labels={labels} left={left} right={width - MARGIN.right} />
    </svg>
  );
}

interface BarProps {
  x: number;
  width: number;
  y: (value: number) => number;
  tip: string;
  parts: readonly { value: number; fill: string }[];
}

/** One bar of stacked parts, on a field that is as wide as its step, so that a thin bar can be pointed at. */
function Bar({ x, width, y, tip, parts }: BarProps) {
  const gap = width > 4 ? width * GAP_SHARE : 0;
  return (
    <g className="group">
      <title>{tip}</title>
      <rect x={x} y={MARGIN.top} width={width} height={HEIGHT - MARGIN.top - MARGIN.bottom} className="fill-transparent group-hover:fill-accent" />
      {parts.map(({ value, fill }, place) => {
        const base = parts.slice(0, place).reduce((total, part) => total + part.value, 0);
        const [high, low] = [Math.max(base, base + value), Math.min(base, base + value)];
        return value === 0 ? null : (
          <rect key={place} x={x + gap / 2} width={Math.max(width - gap, 1)} y={y(high)} height={Math.max(y(low) - y(high), 1)} className={fill} />
        );
      })}
    </g>
  );
}

/** The first and the last day, below the bars. */
function AxisLabels({ labels, left, right }: { labels: readonly string[]; left: number; right: number }) {
  const last = labels.at(-1);
  return (
    <>
      <text x={left} y={HEIGHT - 6} className="fill-muted-foreground text-xs">
        {labels[0]}
      </text>
      {labels.length > 1 && (
        <text x={right} y={HEIGHT - 6} textAnchor="end" className="fill-muted-foreground text-xs">
          {last}
        </text>
      )}
    </>
  );
}

/** The width of an element in pixels, 0 before it is known. */
function useWidth() {
  const ref = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = ref.current;
    if (element === null) return undefined;
    const observer = new ResizeObserver(([entry]) => entry && setWidth(Math.floor(entry.contentRect.width)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return { ref, width };
}
