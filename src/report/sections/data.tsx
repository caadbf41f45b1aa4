/** The data and the triggers: which images took part, and what the trigger does to them. */
import type { JSX } from 'preact';
import { CloseUp, PixelImage } from '../charts/pixel-pictures.tsx';
import { integer, sentence } from '../format.ts';
import type { TriggerPictures } from '../media.ts';
import { Figure, Numbers, PlainTable, Section } from '../parts.tsx';
import { bitmapOf, type Change, changeOf, closeUp, heatBitmap } from '../pictures.ts';
import type { SectionProps } from './context.ts';

export function DataSection({ media }: SectionProps): JSX.Element | null {
  const { data = [], triggers = [], captions } = media;
  if (data.length === 0 && triggers.length === 0) return null;
  return (
    <Section
      id="data"
      title="The data and the trigger"
      captions={captions?.data}
      lead={
        triggers.length > 0 &&
        'The attacker stamps a small mark on copies of training images and gives them a wrong label. Whoever trains on them gets a model that is right on clean images and wrong, in the way the attacker chose, on marked ones.'
      }
    >
      {triggers.map((t, i) => (
        <Trigger key={t.name} trigger={t} index={i} />
      ))}
      {data.length > 0 && (
        <Figure title="Images that took part">
          <PlainTable
            caption="The defender has the clean validation images only; test images and triggers are the judge's."
            fill
            head={['set', 'images', 'of them poisoned', 'source', 'sha-256']}
            words={[3, 4]}
            rows={data.map((d) => [
              d.role,
              integer(d.count),
              d.poisoned === undefined ? '–' : integer(d.poisoned),
              d.source,
              d.sha256 === undefined ? '–' : <code class="hash">{d.sha256}</code>,
            ])}
          />
        </Figure>
      )}
    </Section>
  );
}

type Sample = TriggerPictures['samples'][number];

function Trigger({ trigger, index }: { trigger: TriggerPictures; index: number }): JSX.Element | null {
  const samples = trigger.samples.map((sample) => ({ sample, change: changeOf(sample.clean, sample.triggered) }));
  if (samples.length === 0) return null;
  const { sample, change } = samples[0];
  return (
    <Figure title={`Trigger: ${trigger.name}`}>
      {trigger.caption && <p class="small under-title">{trigger.caption}</p>}
      <div class="trigger">
        {change && <TriggerCloseUp sample={sample} change={change} name={trigger.name} id={`trigger-${index}`} />}
        <Matrix samples={samples} />
      </div>
      <Numbers summary={`Numbers of the pictures: ${trigger.name}`}>
        <PlainTable
          caption="What the trigger changes, and what the backdoored model says. Pixel values run from 0 to 255."
          head={['image', 'true class', 'attacker wants', 'model says, clean', 'model says, triggered', 'pixels changed', 'largest change']}
          words={[1, 2, 3, 4]}
          rows={samples.map((s, i) => [
            String(i + 1),
            s.sample.label,
            s.sample.target ?? '–',
            s.sample.cleanPrediction ?? '–',
            s.sample.triggeredPrediction ?? '–',
            s.change ? `${integer(s.change.pixels.length)} of ${integer(s.sample.clean.width * s.sample.clean.height)}` : '–',
            s.change ? String(s.change.largest) : '–',
          ])}
        />
      </Numbers>
    </Figure>
  );
}

function TriggerCloseUp(props: { sample: Sample; change: Change; name: string; id: string }): JSX.Element {
  const { sample, change, name, id } = props;
  const box = closeUp(sample.triggered, change);
  const few = change.pixels.length <= 64;
  const whole = box.width === sample.triggered.width;
  return (
    <div class="close-up">
      <CloseUp
        id={id}
        title={`The ${name} trigger, enlarged`}
        description={`${change.pixels.length} pixels differ from the clean image${few ? ', outlined here' : ''}.`}
        bitmap={bitmapOf(sample.triggered)}
        box={box}
        outlined={few ? change.pixels : []}
      />
      <p class="small">
        {whole ? 'The whole image' : `Columns ${box.x} to ${box.x + box.width - 1}, rows ${box.y} to ${box.y + box.height - 1}`} of the
        first sample{few && `, ${change.pixels.length === 1 ? 'the changed pixel' : `the ${change.pixels.length} changed pixels`} outlined`}
        .
      </p>
    </div>
  );
}

/** Rows clean, triggered, difference; a column a sample. */
function Matrix({ samples }: { samples: readonly { sample: Sample; change: Change | undefined }[] }): JSX.Element {
  const says = (s: Sample): string => {
    const verdict = s.triggeredPrediction ?? s.target;
    return verdict === undefined ? s.label : `${s.label} → ${verdict}`;
  };
  return (
    <div class="matrix" style={`--columns:${samples.length}`}>
      {(['clean', 'triggered', 'difference'] as const).map((kind) => (
        <div class="matrix-row" key={kind}>
          <span class="matrix-label">{sentence(kind)}</span>
          {samples.map(({ sample, change }, i) => (
            <Picture key={String(i)} kind={kind} sample={sample} change={change} />
          ))}
        </div>
      ))}
      <div class="matrix-row">
        <span class="matrix-label">{samples.some((s) => s.sample.triggeredPrediction !== undefined) ? 'Model says' : 'Label'}</span>
        {samples.map(({ sample }, i) => (
          <span class="matrix-text" key={String(i)}>
            {says(sample)}
          </span>
        ))}
      </div>
    </div>
  );
}

function Picture(props: { kind: 'clean' | 'triggered' | 'difference'; sample: Sample; change: Change | undefined }): JSX.Element {
  const { kind, sample, change } = props;
  if (kind === 'difference') {
    if (!change) return <span class="matrix-text">–</span>;
    const { width, height } = sample.clean;
    return (
      <PixelImage
        heat
        bitmap={heatBitmap(change.difference, width, height, Math.max(1, change.largest))}
        alt={`Difference: ${change.pixels.length} pixels changed`}
      />
    );
  }
  return <PixelImage bitmap={bitmapOf(sample[kind])} alt={`${sentence(kind)} image of class ${sample.label}`} />;
}
