/** `--preprocess`, and what it and the other flags say together about a model's input. */
import { readFileSync } from 'node:fs';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import { nearest } from '../core/suggest.ts';
import { isPreset, PRESETS, type Preprocessing, parsePreprocess, presetPreprocess } from '../onnx/preprocess.ts';
import type { SpecOverrides } from '../onnx/spec.ts';

const presets = Object.entries(PRESETS).map(([name, { summary }]) => `${name} (${summary})`);

export const specFields = {
  preprocess: z
    .string()
    .optional()
    .meta({
      description: `what is done to pictures before the network sees them: ${presets.join('; ')}; or a YAML file with preset, resize, crop, interpolation, antialias, channels, layout, channelOrder, range or scale, mean, std. It replaces what the model file says; in a YAML file the keys overrule its preset; --input-range, --mean and --std overrule both`,
      placeholder: 'NAME|FILE',
    }),
  inputRange: z
    .array(z.number())
    .length(2)
    .optional()
    .meta({ description: 'what pixel 0 and pixel 255 become, for files that do not say: 0,1 or -1,1', placeholder: 'LOW,HIGH' }),
  mean: z.array(z.number()).optional().meta({ description: 'taken off each channel, in units of the input range', placeholder: 'M,..' }),
  std: z.array(z.number()).optional().meta({ description: 'each channel is divided by', placeholder: 'S,..' }),
  labels: z.array(z.string()).optional().meta({ description: 'names of the classes, in the order of the outputs', placeholder: 'A,B,..' }),
};

/** The flags, as read. */
export interface SpecValues {
  readonly preprocess?: string;
  readonly inputRange?: number[];
  readonly mean?: number[];
  readonly std?: number[];
  readonly labels?: string[];
}

/** What the flags say about a model's input: single values first, then `--preprocess`; both win over the file. */
export function specOverrides(o: SpecValues): SpecOverrides {
  const out: SpecOverrides = {};
  if (o.preprocess !== undefined) {
    const { from, preparation, sizesFollow, layout, channelOrder, range, mean, std } = readPreprocess(o.preprocess);
    Object.assign(out, { preprocess: preparation ?? null, sizesFollow, channelOrder, range, mean, std });
    if (layout) out.layout = layout;
    out.from = { preprocess: from, layout: from, range: from, mean: from, std: from };
  }
  const own = (key: 'range' | 'mean' | 'std', value: number[] | undefined): void => {
    if (value === undefined) return;
    Object.assign(out, { [key]: value });
    if (out.from) delete out.from[key];
  };
  own('range', o.inputRange);
  own('mean', o.mean);
  own('std', o.std);
  if (o.labels) out.labels = o.labels;
  return out;
}

/**
 * A preset's name or a YAML or JSON file.
 * @throws SecateurError (exit code 2) where it is neither, or the file says what cannot be
 */
export function readPreprocess(written: string): Preprocessing {
  if (isPreset(written)) return presetPreprocess(written);
  const where = `--preprocess ${written}`;
  let text: string;
  try {
    text = readFileSync(written, 'utf8');
  } catch (error) {
    const names = Object.keys(PRESETS);
    const code = (error as NodeJS.ErrnoException).code;
    return fail({
      where,
      what: code === 'ENOENT' ? 'neither a preset nor a file' : `cannot be read (${code})`,
      expected: `${names.join(', ')}, or a YAML file`,
      hint: nearest(written, names),
      exitCode: 2,
    });
  }
  const document = parseDocument(text, { prettyErrors: true });
  if (document.errors.length > 0) {
    const [first] = document.errors[0].message.split('\n');
    fail({ where: written, what: `not valid YAML or JSON: ${first.replace(/:$/, '')}`, exitCode: 2 });
  }
  return parsePreprocess(document.toJS({ maxAliasCount: 100 }), written);
}
