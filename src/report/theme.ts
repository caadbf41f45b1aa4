/**
 * Colours as CSS custom properties, light and dark. Hues follow Okabe and Ito's palette, which colour-blind readers can tell apart:
 * blue is always clean, vermilion always triggered. `-ink` variants are for text; test/report/theme.test.ts holds both to WCAG AA.
 */

export const light = {
  page: '#fbfbf9',
  panel: '#ffffff',
  sunken: '#f2f3ef',
  ink: '#191c20',
  'ink-soft': '#4f565f',
  rule: '#dcdfda',
  grid: '#e9ebe7',
  clean: '#0072b2',
  'clean-ink': '#005f96',
  triggered: '#d55e00',
  'triggered-ink': '#a94700',
  robust: '#00896b',
  'robust-ink': '#00684f',
  validation: '#a0478e',
  'validation-ink': '#873a77',
  other: '#8a6d00',
  'other-ink': '#6f5800',
  quiet: '#7d858e',
  'quiet-ink': '#555c64',
  good: '#00684f',
  bad: '#a94700',
  accent: '#005f96',
} as const;

export const dark: Record<keyof typeof light, string> = {
  page: '#121417',
  panel: '#191c20',
  sunken: '#202429',
  ink: '#eceef0',
  'ink-soft': '#aab2bb',
  rule: '#343a41',
  grid: '#2a2f35',
  clean: '#56b4e9',
  'clean-ink': '#7cc6f0',
  triggered: '#ff8a3d',
  'triggered-ink': '#ffa367',
  robust: '#2fbf96',
  'robust-ink': '#55d3ae',
  validation: '#d98bc6',
  'validation-ink': '#e5a6d5',
  other: '#e3c041',
  'other-ink': '#ecd06a',
  quiet: '#858e98',
  'quiet-ink': '#aab2bb',
  good: '#55d3ae',
  bad: '#ffa367',
  accent: '#7cc6f0',
};

/** What a mark stands for; each is a CSS class `tone-<name>` that sets `--tone` and `--tone-ink`. */
export type Tone = 'clean' | 'triggered' | 'robust' | 'validation' | 'other' | 'quiet';
export const TONES: readonly Tone[] = ['clean', 'triggered', 'robust', 'validation', 'other', 'quiet'];

/** The colour that a metric has on the whole page. `spare` is for metrics the palette does not know, by their position. */
export function toneOf(metric: string, spare = 0): Tone {
  if (/clean/.test(metric)) return 'clean';
  if (/attack|backdoor|trigger/.test(metric)) return 'triggered';
  if (/robust/.test(metric)) return 'robust';
  if (/validation/.test(metric)) return 'validation';
  return (['other', 'validation', 'robust', 'quiet'] as const)[spare % 4];
}

const properties = (palette: Record<string, string>): string =>
  Object.entries(palette)
    .map(([name, value]) => `--${name}:${value};`)
    .join('');

/** Custom properties of both schemes; print takes the light one. */
export function themeCss(): string {
  const toneRules = TONES.map((t) => `.tone-${t}{--tone:var(--${t});--tone-ink:var(--${t}-ink);}`).join('\n');
  return `:root{color-scheme:light dark;${properties(light)}}
@media screen and (prefers-color-scheme:dark){:root{${properties(dark)}--heat:brightness(1.3) saturate(1.05);}}
${toneRules}`;
}

/** Style of the SVG charts; they need {@link themeCss} beside it and nothing else. */
export const chartCss = `
.chart{display:block;width:100%;height:auto;overflow:visible;font-family:var(--sans,system-ui,sans-serif);font-size:12px;font-variant-numeric:tabular-nums;}
.chart text{fill:var(--ink-soft);}
.chart .axis-title{fill:var(--ink);font-size:12px;}
.chart .grid{stroke:var(--grid);stroke-width:1;}
.chart .axis{stroke:var(--quiet);stroke-width:1;}
.chart .row-label{fill:var(--ink);}
.chart .band{fill:var(--tone);fill-opacity:.16;}
.chart .line{fill:none;stroke:var(--tone);stroke-width:2.25;stroke-linejoin:round;stroke-linecap:round;}
.chart .line-dashed{stroke-dasharray:6 4;stroke-linecap:butt;stroke-width:1.5;}
.chart .dot{fill:var(--tone);stroke:var(--panel);stroke-width:1.5;}
.chart .dot-hollow{fill:var(--panel);stroke:var(--tone);stroke-width:2;}
.chart .whisker{fill:none;stroke:var(--tone);stroke-width:1.75;}
.chart .paper-mark{fill:none;stroke:var(--ink);stroke-width:1.5;}
.chart .paper-line .line{stroke-dasharray:1 5;stroke-width:1.75;}
.chart .paper-line .paper-mark{stroke:var(--tone-ink);fill:var(--panel);}
.chart .stretch{fill:var(--sunken);}
.chart .stretch-edge{stroke:var(--quiet);stroke-width:1;stroke-opacity:.7;}
.chart .stretch-name{fill:var(--ink);font-style:italic;paint-order:stroke;stroke:var(--panel);stroke-width:3.5px;stroke-linejoin:round;}
.chart .bar{fill:var(--tone);}
.chart .label{fill:var(--tone-ink);font-weight:600;paint-order:stroke;stroke:var(--panel);stroke-width:3.5px;stroke-linejoin:round;}
.chart .note{fill:var(--ink);font-weight:600;paint-order:stroke;stroke:var(--panel);stroke-width:3.5px;stroke-linejoin:round;}
.chart .stop{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:2 3;}
.chart .diagonal{stroke:var(--quiet);stroke-width:1;stroke-dasharray:4 4;}
.chart .separator{stroke:var(--rule);stroke-width:1;}
.chart .outline{fill:none;stroke:var(--triggered);}
.chart .frame{fill:none;stroke:var(--rule);}
.chart .tile{fill:var(--sunken);}
.chart .tile-marked{fill:none;stroke:var(--triggered);stroke-width:2.5;}
.chart image{image-rendering:pixelated;}
.chart .heat{filter:var(--heat,none);}
`;
