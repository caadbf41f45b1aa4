/** Inside the network: first-layer filters, the channels that fire only with the trigger, and what they see. */
import type { JSX } from 'preact';
import { ChannelDumbbells, ChannelScatter, dumbbellRows, MAX_ROWS } from '../charts/channel-charts.tsx';
import { type Tile, TileGrid } from '../charts/pixel-pictures.tsx';
import { integer, list, sentence, significant } from '../format.ts';
import type { ActivationMaps, ChannelActivations, FilterPictures } from '../media.ts';
import { Figure, KeyWord, Numbers, Panels, PlainTable, Section } from '../parts.tsx';
import { heatBitmap } from '../pictures.ts';
import type { SectionProps } from './context.ts';

export function FiltersSection({ media }: SectionProps): JSX.Element | null {
  const { filters = [], captions } = media;
  if (filters.length === 0) return null;
  return (
    <Section
      id="filters"
      title="What the first layer looks for"
      captions={captions?.filters}
      lead={
        <>
          Each tile is one filter of the first layer: <KeyWord tone="triggered">positive</KeyWord> and{' '}
          <KeyWord tone="clean">negative</KeyWord> weights, the stronger the more colour.
          {filters.some((f) => f.dedicated.length > 0) && ' Framed filters are dedicated to the trigger.'}
        </>
      }
    >
      <Panels size="small">
        {filters.map((f, i) => (
          <Filters key={f.model} filters={f} id={`filters-${i}`} />
        ))}
      </Panels>
      <Numbers summary="The weights as numbers">
        {filters.map((f) => (
          <FilterWeights key={f.model} filters={f} />
        ))}
      </Numbers>
    </Section>
  );
}

/** A near-square grid. */
function columnsFor(count: number): number {
  return count <= 4 ? count : Math.max(4, Math.min(8, Math.ceil(Math.sqrt(count))));
}

function Filters({ filters, id }: { filters: FilterPictures; id: string }): JSX.Element {
  const { count, height, width, weights, dedicated } = filters;
  const area = height * width;
  const max = Math.max(...weights.map(Math.abs));
  const tiles: Tile[] = Array.from({ length: count }, (_, k) => ({
    label: String(k),
    bitmap: heatBitmap(weights.slice(k * area, (k + 1) * area), width, height, max),
    marked: dedicated.includes(k),
  }));
  const found = dedicated.length === 0 ? '' : ` Dedicated to the trigger: ${list(dedicated.map(String))}.`;
  const what = `${integer(count)} filters of ${height}×${width} in ${filters.layer}; full colour is ${significant(max)}.${found}`;
  return (
    <Figure
      title={filters.model}
      caption={
        <>
          {filters.caption && `${filters.caption} `}
          {what}
        </>
      }
    >
      <TileGrid id={id} title={`First-layer filters of ${filters.model}`} description={what} tiles={tiles} columns={columnsFor(count)} />
    </Figure>
  );
}

function FilterWeights({ filters }: { filters: FilterPictures }): JSX.Element {
  const { count, height, width, weights, dedicated } = filters;
  const area = height * width;
  const places = Array.from({ length: area }, (_, i) => `${Math.floor(i / width)},${i % width}`);
  return (
    <PlainTable
      caption={`${filters.model}, ${filters.layer}: one row a filter, one column a weight, named by row and column of the kernel.`}
      head={['filter', 'for the trigger', ...places]}
      words={[1]}
      rows={Array.from({ length: count }, (_, k) => [
        String(k),
        dedicated.includes(k) ? 'yes' : 'no',
        ...weights.slice(k * area, (k + 1) * area).map((w) => significant(w, 2)),
      ])}
    />
  );
}

export function NeuronsSection({ media }: SectionProps): JSX.Element | null {
  const { activations = [], maps = [], captions } = media;
  if (activations.length === 0 && maps.length === 0) return null;
  return (
    <Section
      id="neurons"
      title="The backdoor neurons"
      captions={captions?.neurons}
      lead={
        <>
          The same layer, fed with <KeyWord tone="clean">clean</KeyWord> and with <KeyWord tone="triggered">triggered</KeyWord> images.
          Channels that are silent on clean images and loud with the trigger carry the backdoor. Pruning rests on their being silent;
          whether they are is what these pictures show.
        </>
      }
    >
      {activations.map((a, i) => (
        <Channels key={`${a.model} ${a.layer}`} activations={a} index={i} />
      ))}
      {maps.map((m, i) => (
        <Maps key={`${m.model} ${m.layer}`} maps={m} index={i} />
      ))}
    </Section>
  );
}

function Channels({ activations, index }: { activations: ChannelActivations; index: number }): JSX.Element {
  const { model, layer, channels, rule, n } = activations;
  const backdoor = channels.filter((c) => c.backdoor).map((c) => String(c.channel));
  const dormant = channels.filter((c) => c.dormant && !c.backdoor).map((c) => String(c.channel));
  const found = `${backdoor.length} of ${channels.length} channels are backdoor neurons${backdoor.length > 0 ? ` (${list(backdoor)})` : ''}, ${
    dormant.length === 0 ? 'no other is dormant' : `${dormant.length} more ${dormant.length === 1 ? 'is' : 'are'} dormant on clean data`
  }.`;
  const shown = dumbbellRows(channels).length;
  return (
    <>
      <h3 class="wide-title">
        {sentence(model)}, {layer}
      </h3>
      <p>
        {found} {n !== undefined && `Means over ${integer(n)} clean images and the same with the trigger. `}
        <strong>The rule:</strong> {rule}
      </p>
      {activations.caption && <p>{activations.caption}</p>}
      <Panels>
        <Figure
          title="Channel by channel"
          caption={
            <>
              Mean activation on <KeyWord tone="clean">clean</KeyWord> and on <KeyWord tone="triggered">triggered</KeyWord> images.
              {shown < channels.length && ` The ${MAX_ROWS} channels that change most, of ${channels.length}; all are in the table.`}
            </>
          }
        >
          <ChannelDumbbells
            id={`channels-${index}`}
            title={`${model}, ${layer}: mean activation of each channel`}
            description={found}
            channels={channels}
          />
        </Figure>
        <Figure
          title="Clean against triggered"
          caption={
            <>
              One dot a channel: <KeyWord tone="triggered">backdoor neuron</KeyWord>, <KeyWord tone="clean">other</KeyWord>,{' '}
              <span class="key key-hollow tone-quiet">dormant</span>. On the dashed line the trigger makes no difference.
            </>
          }
        >
          <ChannelScatter
            id={`scatter-${index}`}
            title={`${model}, ${layer}: clean against triggered activation`}
            description={found}
            channels={channels}
          />
        </Figure>
      </Panels>
      <Numbers summary={`Numbers of all ${channels.length} channels: ${model}, ${layer}`}>
        <PlainTable
          caption="Mean activation of each channel, in pruning order (quietest on clean data first)."
          head={['channel', 'clean', 'triggered', 'difference', 'kind']}
          words={[4]}
          rows={[...channels]
            .sort((a, b) => a.clean - b.clean || a.channel - b.channel)
            .map((c) => [
              String(c.channel),
              significant(c.clean),
              significant(c.triggered),
              significant(c.triggered - c.clean),
              c.backdoor ? 'backdoor' : c.dormant ? 'dormant' : '–',
            ])}
        />
      </Numbers>
    </>
  );
}

function Maps({ maps, index }: { maps: ActivationMaps; index: number }): JSX.Element {
  const { model, layer, height, width, channels, clean, triggered, backdoor, n } = maps;
  const area = height * width;
  const difference = clean.map((v, i) => triggered[i] - v);
  const max = Math.max(...clean.map(Math.abs), ...triggered.map(Math.abs));
  const shown = backdoor.filter((c) => channels.includes(c));
  const marked = shown.length === 0 ? '' : `Framed: the backdoor neurons ${list(shown.map(String))}.`;
  const maxDifference = Math.max(...difference.map(Math.abs));
  const tilesOf = (values: readonly number[], scale: number, positive: 'clean' | 'triggered'): Tile[] =>
    channels.map((channel, i) => ({
      label: String(channel),
      bitmap: heatBitmap(values.slice(i * area, (i + 1) * area), width, height, scale, positive),
      marked: backdoor.includes(channel),
    }));
  const kinds = [
    { title: 'Clean', values: clean, scale: max, hue: 'clean' },
    { title: 'Triggered', values: triggered, scale: max, hue: 'triggered' },
    { title: 'Difference', values: difference, scale: maxDifference, hue: 'triggered' },
  ] as const;
  const summary = (values: readonly number[], i: number): string[] => {
    const map = values.slice(i * area, (i + 1) * area);
    return [significant(map.reduce((a, b) => a + b, 0) / area), significant(Math.max(...map))];
  };
  return (
    <>
      <h3 class="wide-title">
        Activation maps: {model}, {layer}
      </h3>
      <p>
        {maps.caption && `${maps.caption} `}
        Mean map of each channel{n !== undefined && ` over ${integer(n)} images`}, {height}×{width}. Clean and triggered share one scale,
        full colour being {significant(max)}; in the difference full colour is {significant(maxDifference)}, orange where the trigger adds
        and blue where it takes away. {marked}
      </p>
      <Panels size="small">
        {kinds.map((k) => (
          <Figure key={k.title} title={k.title}>
            <TileGrid
              id={`maps-${index}-${k.title.toLowerCase()}`}
              title={`${k.title} activation maps of ${model}, ${layer}`}
              description={`Mean and largest value of each map are in the table below. ${marked}`}
              tiles={tilesOf(k.values, k.scale, k.hue)}
              columns={Math.min(channels.length, channels.length <= 16 ? 4 : 6)}
            />
          </Figure>
        ))}
      </Panels>
      <Numbers summary={`Numbers of the maps: ${model}, ${layer}`}>
        <PlainTable
          caption="Mean and largest value of each map; the maps themselves are in media.json."
          head={[
            'channel',
            'clean, mean',
            'clean, largest',
            'triggered, mean',
            'triggered, largest',
            'difference, mean',
            'difference, largest',
            'kind',
          ]}
          words={[7]}
          rows={channels.map((channel, i) => [
            String(channel),
            ...summary(clean, i),
            ...summary(triggered, i),
            ...summary(difference, i),
            backdoor.includes(channel) ? 'backdoor' : '–',
          ])}
        />
      </Numbers>
    </>
  );
}
