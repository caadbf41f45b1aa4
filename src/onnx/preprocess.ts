/**
 * What is done to pictures before a network sees them, as `--preprocess` says it: one schema for the presets, for a FILE.yaml and for
 * what stands in a model's metadata. Pure description; `data/resize.ts` and `data/feed.ts` do it.
 */
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import { nearest } from '../core/suggest.ts';

const Pixels = z.number().int().min(1).max(16384);
/** One number is a square. */
const Size = z.union([Pixels, z.tuple([Pixels, Pixels])]);
const PerChannel = z.union([z.number(), z.array(z.number()).min(1)]);

export const Interpolation = z.enum(['nearest', 'bilinear', 'bicubic', 'lanczos']);
export type Interpolation = z.infer<typeof Interpolation>;
export const Layout = z.enum(['NCHW', 'NHWC', 'flat']);
export type Layout = z.infer<typeof Layout>;
export const ChannelOrder = z.enum(['RGB', 'BGR']);
export type ChannelOrder = z.infer<typeof ChannelOrder>;

/** How a picture of any size becomes one of the network's size; `secateur.preprocess` in the metadata. */
export const Preparation = z.strictObject({
  /** Shorter side, the other one in proportion; or `[height, width]` whatever the picture's own proportions are. */
  resize: z.union([Pixels, z.tuple([Pixels, Pixels])]).optional(),
  /** `[height, width]` from the centre, after resizing; black where the picture is smaller. */
  crop: z.tuple([Pixels, Pixels]).optional(),
  interpolation: Interpolation.default('bilinear'),
  /** Widens the filter when a picture is made smaller, as PIL does; without it as OpenCV does. */
  antialias: z.boolean().default(true),
  /** 1 makes colour grey, 3 makes grey RGB. */
  channels: z.union([z.literal(1), z.literal(3)]).optional(),
});
export type Preparation = z.infer<typeof Preparation>;

const NAMES = ['imagenet', 'cifar10', 'mnist', 'none'] as const;
export type PresetName = (typeof NAMES)[number];

/** All that `--preprocess FILE.yaml` may say. */
export const Preprocess = z.strictObject({
  preset: z.enum(NAMES).optional().meta({ description: 'where to begin; every other key overrules it' }),
  resize: z
    .union([Pixels, z.tuple([Pixels, Pixels])])
    .optional()
    .meta({ description: 'shorter side in pixels, or [height, width]' }),
  crop: Size.optional().meta({ description: 'from the centre, after resizing: a side in pixels, or [height, width]' }),
  interpolation: Interpolation.optional().meta({ description: 'how resizing mixes pixels; default bilinear' }),
  antialias: z.boolean().optional().meta({ description: 'true (default): as PIL and torchvision resize; false: as OpenCV does' }),
  channels: z
    .union([z.literal(1), z.literal(3)])
    .optional()
    .meta({ description: '1 makes colour grey, 3 makes grey RGB' }),
  layout: Layout.optional().meta({ description: 'of the input; default: as the graph says' }),
  channelOrder: ChannelOrder.optional().meta({ description: 'of the input; mean and std stand in this order' }),
  range: z.tuple([z.number(), z.number()]).optional().meta({ description: 'what pixel 0 and pixel 255 become; default [0, 1]' }),
  scale: z
    .union([z.number().positive(), z.string().regex(/^\s*\d+(\.\d+)?\s*\/\s*\d+(\.\d+)?\s*$/)])
    .optional()
    .meta({ description: 'the same as a factor: 1/255 is range [0, 1], 1 is range [0, 255]' }),
  mean: PerChannel.optional().meta({ description: 'taken off each channel, in units of the range; default 0' }),
  std: PerChannel.optional().meta({ description: 'each channel is divided by; default 1' }),
});
export type Preprocess = z.infer<typeof Preprocess>;

interface Preset {
  readonly summary: string;
  readonly says: Omit<Preprocess, 'preset'>;
}

/**
 * Means and standard deviations are those that torchvision's models and most CIFAR-10 code use. `mnist` and `none` take pixels as 0..1:
 * so do most exports of such networks, and `--mean 0.1307 --std 0.3081` adds what the others want.
 */
export const PRESETS: Readonly<Record<PresetName, Preset>> = {
  imagenet: {
    summary: 'shorter side 256, centre 224x224, mean .485 .456 .406, std .229 .224 .225',
    says: { resize: 256, crop: 224, channels: 3, range: [0, 1], mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  },
  cifar10: {
    summary: '32x32 RGB, mean .4914 .4822 .4465, std .2470 .2435 .2616',
    says: { resize: [32, 32], channels: 3, range: [0, 1], mean: [0.4914, 0.4822, 0.4465], std: [0.247, 0.2435, 0.2616] },
  },
  mnist: { summary: '28x28 grey, 0..1', says: { resize: [28, 28], channels: 1, range: [0, 1] } },
  none: { summary: 'pixels as 0..1, nothing else', says: { range: [0, 1] } },
};

export function isPreset(text: string): text is PresetName {
  return (NAMES as readonly string[]).includes(text);
}

/** What `--preprocess` says, with everything decided that does not depend on the network. */
export interface Preprocessing {
  /** As typed, for errors: `--preprocess imagenet`. */
  readonly from: string;
  /** undefined: pictures are neither resized nor cropped. */
  readonly preparation?: Preparation;
  /** The sizes are a preset's, which follow the network where that takes another size. */
  readonly sizesFollow: boolean;
  readonly layout?: Layout;
  readonly channelOrder: ChannelOrder;
  readonly range: [number, number];
  readonly mean: number[];
  readonly std: number[];
}

/**
 * Checks what a YAML file or a preset says. Keys may be written `channelOrder`, `channel-order` or `channel_order`.
 * @param where the file or flag, for errors
 * @throws SecateurError (exit code 2) naming the key and what would be right
 */
export function parsePreprocess(value: unknown, where: string): Preprocessing {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    fail({ where, what: 'not a description of preprocessing', expected: 'lines such as "mean: [0.5, 0.5, 0.5]"', exitCode: 2 });
  }
  const keys = Object.keys(Preprocess.shape);
  const named: Record<string, unknown> = {};
  for (const [written, v] of Object.entries(value)) {
    const key = written.replace(/[-_]([a-z])/g, (_, c: string) => c.toUpperCase());
    if (!keys.includes(key)) {
      const close = nearest(key, keys);
      fail({ where, what: `no key "${written}"`, expected: `one of ${keys.join(', ')}`, hint: close && `"${close}"`, exitCode: 2 });
    }
    named[key] = v;
  }
  const parsed = Preprocess.safeParse(named);
  if (!parsed.success) {
    const key = String(parsed.error.issues[0].path[0] ?? '');
    const expected = EXPECTED[key] ?? parsed.error.issues[0].message;
    return fail({ where, what: `${key} is not valid`, expected, got: JSON.stringify(named[key]), exitCode: 2 });
  }
  return decide(parsed.data, where);
}

const EXPECTED: Readonly<Record<string, string>> = {
  preset: NAMES.join(', '),
  resize: 'the shorter side in pixels, or [height, width]',
  crop: 'a side in pixels, or [height, width]',
  interpolation: Interpolation.options.join(', '),
  antialias: 'true or false',
  channels: '1 or 3',
  layout: Layout.options.join(', '),
  channelOrder: ChannelOrder.options.join(', '),
  range: 'two numbers, [low, high]',
  scale: 'a number above 0, or a fraction such as 1/255',
  mean: 'a number, or one for each channel in brackets',
  std: 'a number, or one for each channel in brackets',
};

/** The preset of a name, as `--preprocess NAME` means it. */
export function presetPreprocess(name: PresetName): Preprocessing {
  return decide({ preset: name }, `--preprocess ${name}`);
}

function decide(given: Preprocess, where: string): Preprocessing {
  const { preset, ...own } = given;
  if (own.range !== undefined && own.scale !== undefined) {
    fail({ where, what: 'range and scale say the same thing', expected: 'one of them', got: 'both', exitCode: 2 });
  }
  const base = preset === undefined ? {} : PRESETS[preset].says;
  const all: Preprocess = { ...base, ...own };
  const range = own.scale === undefined ? (all.range ?? [0, 1]) : ([0, 255 * factor(own.scale)] as [number, number]);
  if (!(range[0] < range[1])) {
    fail({ where, what: 'range is not valid', expected: 'the lower number first', got: range.join(','), exitCode: 2 });
  }
  const list = (v: number | number[] | undefined, otherwise: number): number[] =>
    v === undefined ? [otherwise] : typeof v === 'number' ? [v] : v;
  const { resize, crop, interpolation, antialias, channels } = all;
  const some = resize !== undefined || crop !== undefined || channels !== undefined;
  const preparation: Preparation | undefined = some
    ? {
        ...(resize !== undefined && { resize }),
        ...(crop !== undefined && { crop: typeof crop === 'number' ? [crop, crop] : crop }),
        interpolation: interpolation ?? 'bilinear',
        antialias: antialias ?? true,
        ...(channels !== undefined && { channels }),
      }
    : undefined;
  return {
    from: where,
    ...(preparation && { preparation }),
    sizesFollow: own.resize === undefined && own.crop === undefined,
    ...(all.layout !== undefined && { layout: all.layout }),
    channelOrder: all.channelOrder ?? 'RGB',
    range,
    mean: list(all.mean, 0),
    std: list(all.std, 1),
  };
}

function factor(scale: number | string): number {
  if (typeof scale === 'number') return scale;
  const [over, under] = scale.split('/').map(Number);
  return over / under;
}

/** The size that comes out, where the description fixes it: `[height, width]`. */
export function preparedSize(p: Preparation | undefined): [number, number] | undefined {
  const size = p?.crop ?? (Array.isArray(p?.resize) ? p.resize : undefined);
  return size && [size[0], size[1]];
}

/** The same preparation for a network of another size: what is cropped away keeps its share. */
export function scaledTo(p: Preparation, height: number, width: number): Preparation {
  const { resize, crop } = p;
  const shorter = Math.min(height, width);
  const next =
    typeof resize === 'number'
      ? Math.round((resize * shorter) / Math.min(...(crop ?? [resize])))
      : resize && ([height, width] as [number, number]);
  return { ...p, ...(next !== undefined && { resize: next }), ...(crop && { crop: [height, width] as [number, number] }) };
}
