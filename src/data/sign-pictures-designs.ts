/**
 * The signs of two made-up countries. The first looks like most of Europe: white fields in red rims, white on blue. The second means
 * similar things but no two designs are the same: yellow fields, other symbols, square boards. So a network that is taken from the first
 * to the second has to learn anew what signs say, while edges, rims and colours are known to it.
 */
import {
  arrow,
  box,
  type Colour,
  common,
  diamond,
  disc,
  funnel,
  type Layer,
  line,
  number,
  octagon,
  polygon,
  type Shape,
  together,
  triangle,
  without,
} from './sign-pictures-shapes.ts';

export interface Design {
  readonly name: string;
  /** The first layer is the outline of the sign. */
  readonly layers: readonly Layer[];
}

const RED: Colour = [196, 26, 34];
const WHITE: Colour = [238, 238, 234];
const BLACK: Colour = [24, 24, 26];
const BLUE: Colour = [18, 76, 168];
const YELLOW: Colour = [246, 196, 26];
const GREY: Colour = [110, 112, 116];

const sign = (name: string, ...layers: (readonly [Shape, Colour])[]): Design => ({
  name,
  layers: layers.map(([shape, colour]) => ({ shape, colour })),
});

const limit = (text: string): Design => sign(`limit ${text}`, [disc(1), RED], [disc(0.78), WHITE], [number(text, 1, 0.2), BLACK]);
const danger = (name: string, symbol: Shape): Design => sign(name, [triangle(), RED], [triangle(0.74), WHITE], [symbol, BLACK]);
const order = (name: string, symbol: Shape): Design => sign(name, [disc(1), WHITE], [disc(0.94), BLUE], [symbol, WHITE]);

const bend = together(
  line(0.22, [0.3, 0.62], [0.3, 0.34], [-0.16, 0.12], [-0.16, 0]),
  polygon([-0.16, -0.36], [0.16, 0.06], [-0.48, 0.06]),
);
const aside = together(line(0.28, [0.36, 0.66], [0.36, -0.1], [-0.2, -0.1]), polygon([-0.8, -0.1], [-0.16, -0.58], [-0.16, 0.38]));

/** Signs of the first country. */
export const HOME: readonly Design[] = [
  limit('30'),
  limit('70'),
  sign('no entry', [disc(1), WHITE], [disc(0.95), RED], [box(-0.66, -0.17, 0.66, 0.17), WHITE]),
  sign(
    'stop',
    [octagon(), WHITE],
    [octagon(0.92), RED],
    [together(...[-0.54, -0.18, 0.18, 0.54].map((x) => box(x - 0.13, -0.3, x + 0.13, 0.3))), WHITE],
    [together(box(-0.58, -0.06, -0.45, 0.06), box(-0.12, -0.3, 0.02, 0.3), box(0.12, -0.12, 0.24, 0.12), box(0.54, 0.06, 0.7, 0.3)), RED],
  ),
  sign('give way', [funnel(), RED], [funnel(0.64), WHITE]),
  sign('priority road', [diamond(), WHITE], [diamond(0.66), YELLOW]),
  sign(
    'end of limits',
    [disc(1), GREY],
    [disc(0.94), WHITE],
    [
      common(
        disc(0.94),
        together(line(0.11, [-0.8, 0.5], [0.5, -0.8]), line(0.11, [-0.65, 0.65], [0.65, -0.65]), line(0.11, [-0.5, 0.8], [0.8, -0.5])),
      ),
      GREY,
    ],
  ),
  danger('danger', together(line(0.24, [0, -0.3], [0, 0.18]), disc(0.14, 0, 0.52))),
  danger('bend left', bend),
  order('ahead only', arrow),
  order('turn left', aside),
];

const ban = (name: string, ...layers: (readonly [Shape, Colour])[]): Design => sign(name, [disc(1), RED], [disc(0.8), YELLOW], ...layers);
const warn = (name: string, symbol: Shape): Design =>
  sign(name, [triangle(), BLACK], [triangle(0.92), RED], [triangle(0.68), YELLOW], [symbol, BLACK]);
const board = (name: string, ...layers: (readonly [Shape, Colour])[]): Design =>
  sign(name, [box(-0.92, -0.92, 0.92, 0.92), WHITE], [box(-0.84, -0.84, 0.84, 0.84), BLUE], ...layers);

const slash = line(0.18, [-0.6, -0.6], [0.6, 0.6]);

/** Signs of the second country. */
export const ABROAD: readonly Design[] = [
  ban('limit 20', [number('20', 1, 0.19), BLUE]),
  ban('limit 90', [number('90', 1, 0.19), BLUE]),
  ban('closed', [together(line(0.2, [-0.4, -0.4], [0.4, 0.4]), line(0.2, [0.4, -0.4], [-0.4, 0.4])), BLACK]),
  sign('no parking', [disc(1), RED], [disc(0.78), BLUE], [common(disc(0.9), slash), RED]),
  sign('yield', [funnel(), BLACK], [funnel(0.92), RED], [funnel(0.5), YELLOW], [box(-0.22, -0.36, 0.22, -0.22), BLACK]),
  sign('main road', [diamond(), BLACK], [diamond(0.9), WHITE], [diamond(0.5), RED]),
  warn('narrow road', together(line(0.14, [-0.3, 0.58], [-0.08, 0.2], [-0.08, -0.1]), line(0.14, [0.3, 0.58], [0.08, 0.2], [0.08, -0.1]))),
  warn('crossing', together(line(0.22, [0, 0.6], [0, -0.2]), line(0.12, [-0.32, 0.3], [0.32, 0.3]))),
  board('parking', [
    together(
      line(0.22, [-0.3, 0.6], [-0.3, -0.6]),
      without(disc(0.42, -0.02, -0.24), together(disc(0.18, -0.02, -0.24), box(-2, -2, -0.3, 2))),
    ),
    WHITE,
  ]),
  sign(
    'cyclists',
    [disc(1), BLUE],
    [
      together(
        without(disc(0.34, -0.42, 0.18), disc(0.2, -0.42, 0.18)),
        without(disc(0.34, 0.42, 0.18), disc(0.2, 0.42, 0.18)),
        line(0.12, [-0.42, 0.18], [-0.12, -0.36], [0.28, -0.36], [0.42, 0.18]),
      ),
      YELLOW,
    ],
  ),
];
