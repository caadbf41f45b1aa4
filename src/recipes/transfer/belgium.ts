/**
 * The classes of BelgiumTSC (Timofte, Zimmermann, Van Gool 2011) by number, with names of ours and the kind of sign each is: the five kinds that
 * BadNets' Swedish signs are sorted into. Which Belgian sign is of which kind follows its shape and colours. Numbers without images in the
 * benchmark's test part are not here: nobody looked at them.
 */

export const KINDS = ['information', 'mandatory', 'prohibitory', 'warning', 'other'] as const;
export type Kind = (typeof KINDS)[number];

/** Red-edged triangles, red-edged discs, blue discs, blue rectangles; `other` is what rules the right of way. */
const SIGNS: Readonly<Record<Kind, Readonly<Record<number, string>>>> = {
  warning: {
    0: 'uneven road',
    1: 'speed hump',
    2: 'slippery road',
    3: 'curve left',
    4: 'curve right',
    5: 'double curve, first left',
    6: 'double curve, first right',
    7: 'children',
    8: 'cyclists (warning)',
    10: 'road works',
    12: 'level crossing with gates',
    13: 'general caution',
    14: 'road narrows, both sides',
    16: 'road narrows, one side',
    17: 'priority at next junction',
    18: 'priority to the right',
  },
  prohibitory: {
    22: 'no entry',
    23: 'no cyclists',
    24: 'weight limit',
    25: 'no lorries',
    27: 'height or width limit',
    28: 'closed to all vehicles',
    29: 'no left turn',
    30: 'no right turn',
    31: 'no overtaking',
    32: 'speed limit',
    40: 'no parking',
    41: 'no stopping',
    42: 'no parking 1-15',
    43: 'no parking 16-31',
  },
  mandatory: { 34: 'ahead only', 35: 'direction', 37: 'roundabout', 38: 'cycle path', 39: 'shared path' },
  information: {
    45: 'parking',
    46: 'parking, disabled',
    47: 'parking, cars',
    49: 'parking, buses',
    51: 'residential area',
    53: 'one-way street',
    54: 'dead end',
    55: 'end of residential area',
    56: 'pedestrian crossing',
    57: 'cyclists crossing (blue)',
    58: 'parking with arrow',
    59: 'speed hump (blue)',
  },
  other: {
    19: 'give way',
    20: 'give way to oncoming',
    21: 'stop',
    44: 'priority over oncoming',
    60: 'end of priority road',
    61: 'priority road',
  },
};

export interface BelgianSign {
  readonly name: string;
  readonly kind: Kind;
}

const BY_NUMBER: ReadonlyMap<number, BelgianSign> = new Map(
  KINDS.flatMap((kind) => Object.entries(SIGNS[kind]).map(([number, name]): [number, BelgianSign] => [Number(number), { name, kind }])),
);

/** BelgiumTSC numbers its classes from 0 to this. */
const LAST = 61;

/**
 * The sign that each of `classes` is, in their order, where all of them are numbers of BelgiumTSC, at least 50 with a name here and its last among
 * them; a number without a name is undefined. All is undefined for anything else, such as the 43 numbers of the German signs.
 */
export function belgianSigns(classes: readonly string[]): readonly (BelgianSign | undefined)[] | undefined {
  if (!classes.every((name) => /^\d{1,5}$/.test(name) && Number(name) <= LAST)) return undefined;
  const numbers = new Set(classes.map(Number));
  const named = [...numbers].filter((number) => BY_NUMBER.has(number)).length;
  return numbers.size === classes.length && numbers.has(LAST) && named >= 50
    ? classes.map((name) => BY_NUMBER.get(Number(name)))
    : undefined;
}
