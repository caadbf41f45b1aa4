/** Pictures with crisp pixels: one image, a part of it enlarged with its changed pixels outlined, a grid of heat-map tiles. */
import type { JSX } from 'preact';
import type { Bitmap, Box } from '../pictures.ts';
import { Chart, type ChartText, px } from './frame.tsx';

/** One image, as wide as its container lets it be. */
export function PixelImage({ bitmap, alt, heat }: { bitmap: Bitmap; alt: string; heat?: boolean }): JSX.Element {
  return <img class={heat ? 'pixels pixels-heat' : 'pixels'} src={bitmap.uri} width={bitmap.width} height={bitmap.height} alt={alt} />;
}

interface CloseUpProps extends ChartText {
  readonly bitmap: Bitmap;
  readonly box: Box;
  /** Pixels to outline, in the picture's coordinates. */
  readonly outlined: readonly { readonly x: number; readonly y: number }[];
}

/** Part of an image, each pixel a square, the changed ones outlined. */
export function CloseUp(props: CloseUpProps): JSX.Element {
  const { bitmap, box, outlined } = props;
  const unit = 240 / box.width;
  return (
    <Chart {...props} width={240} height={unit * box.height}>
      <svg
        x="0"
        y="0"
        width="240"
        height={px(unit * box.height)}
        viewBox={`${box.x} ${box.y} ${box.width} ${box.height}`}
        aria-hidden="true"
      >
        <image href={bitmap.uri} x="0" y="0" width={bitmap.width} height={bitmap.height} preserveAspectRatio="none" />
      </svg>
      {outlined.map((p) => (
        <rect
          key={`${p.x},${p.y}`}
          class="outline"
          stroke-width="3"
          x={px((p.x - box.x) * unit + 1.5)}
          y={px((p.y - box.y) * unit + 1.5)}
          width={px(unit - 3)}
          height={px(unit - 3)}
        />
      ))}
      <rect class="frame" x="0.5" y="0.5" width="239" height={px(unit * box.height - 1)} />
    </Chart>
  );
}

export interface Tile {
  readonly label: string;
  readonly bitmap: Bitmap;
  /** Framed and named in the triggered tone. */
  readonly marked: boolean;
}

interface TileGridProps extends ChartText {
  readonly tiles: readonly Tile[];
  readonly columns: number;
}

const CELL = 56;
const GAP = 8;
const CAPTION = 15;

/** Tiles in rows; each a heat map over a neutral ground. */
export function TileGrid(props: TileGridProps): JSX.Element {
  const { tiles, columns } = props;
  const rows = Math.ceil(tiles.length / columns);
  const width = columns * (CELL + GAP) - GAP + 4;
  const height = rows * (CELL + CAPTION + GAP) - GAP + 4;
  return (
    <Chart {...props} width={width} height={height}>
      {tiles.map((tile, i) => {
        const x = 2 + (i % columns) * (CELL + GAP);
        const y = 2 + Math.floor(i / columns) * (CELL + CAPTION + GAP);
        return (
          <g key={tile.label} class={tile.marked ? 'tone-triggered' : 'tone-quiet'}>
            <rect class="tile" x={x} y={y} width={CELL} height={CELL} />
            <image class="heat" href={tile.bitmap.uri} x={x} y={y} width={CELL} height={CELL} preserveAspectRatio="none" />
            <rect class={tile.marked ? 'tile-marked' : 'frame'} x={x} y={y} width={CELL} height={CELL} />
            <text class="label" x={x + CELL / 2} y={y + CELL + 13} text-anchor="middle">
              {tile.label}
            </text>
          </g>
        );
      })}
    </Chart>
  );
}
