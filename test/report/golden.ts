/** Golden files of charts: SVG that opens by itself in a browser, one element a line so that a difference can be read. */
import type { VNode } from 'preact';
import { renderToString } from 'preact-render-to-string';
import { chartCss, themeCss } from '../../src/report/theme.ts';

export function goldenSvg(chart: VNode): string {
  return goldenText(renderToString(chart));
}

/** The same of a chart that is SVG already. */
export function goldenText(chart: string): string {
  const svg = chart
    .replace('<svg ', '<svg xmlns="http://www.w3.org/2000/svg" ')
    .replace('<title', `<style>${themeCss()}${chartCss}:root{background:var(--panel)}</style><title`)
    .replace(/></g, '>\n<');
  return `${svg}\n`;
}
