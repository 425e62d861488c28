// The page, as it is before any script runs: all tables, in the order in which they are read.
//
// Guarantees: no attribute is a style and no element a script, so a strict policy holds; a text of a scenario is only ever a text.

import { count, plural } from '../words.ts';
import { short, Throughput } from './chart.tsx';
import type {
  Found,
  Model,
  OutcomeModel,
  RaceModel,
  ScenarioModel,
  Totals,
  TraceModel,
  VariantModel,
  VerdictModel,
} from './model.ts';

const MARKS: Readonly<Record<Found, string>> = { holds: '✓', violated: '✗', unknown: '?' };

export function Report({ model }: { readonly model: Model }) {
  const { about, totals, scenarios } = model;
  return (
    <>
      <a class="skip" href="#scenarios">
        To the scenarios
      </a>
      <header>
        <p class="brand">pagewalk {about.version}</p>
        <h1>{headline(totals)}</h1>
        <p class="lead">
          {plural(totals.variants, 'variant')} of {plural(scenarios.length, 'scenario')}
          {totals.states > 0 ? `, explored in ${plural(totals.states, 'state')}` : ''}
          {totals.executions > 0 ? `, raced ${plural(totals.executions, 'time')} on real threads` : ''}.
        </p>
        <dl class="tiles">
          <Tile name="hold" value={count(totals.holds)} style="good" note="verdicts, proved in every interleaving" />
          <Tile name="violated" value={count(totals.violated)} style="bad" note="verdicts, each with an interleaving" />
          <Tile
            name="not decided"
            value={count(totals.unknown)}
            style={totals.unknown > 0 ? 'warn' : ''}
            note="a bound ended the search"
          />
          <Tile
            name="caught on threads"
            value={`${count(totals.caught)} of ${count(totals.catchable)}`}
            note="violations that real threads ran into"
          />
          <Tile name="executions" value={short(totals.executions)} note={rateText(totals)} />
          <Tile
            name="surprises"
            value={count(totals.surprises)}
            style={totals.surprises > 0 ? 'bad' : 'good'}
            note={totals.surprises > 0 ? 'see below' : 'files, explorer and threads agree'}
          />
        </dl>
        <dl class="run">
          <dt>Made</dt>
          <dd>
            {about.date}, in {about.seconds.toFixed(1)} s
          </dd>
          <dt>On</dt>
          <dd>{about.machine}</dd>
          <dt>By</dt>
          <dd>
            <code>{about.command}</code>
          </dd>
        </dl>
      </header>
      <main>
        <Surprises scenarios={scenarios} />
        <section aria-labelledby="overview">
          <h2 id="overview">Overview</h2>
          <Overview scenarios={scenarios} />
        </section>
        <section aria-labelledby="scenarios">
          <h2 id="scenarios">Scenarios</h2>
          <form id="filter" class="filter" hidden>
            <label>
              Filter{' '}
              <input type="search" name="text" placeholder="name, invariant, setting, source" autocomplete="off" />
            </label>
            <label class="check">
              <input type="checkbox" name="surprises" /> only surprises
            </label>
            <button type="button" name="open">
              Open all
            </button>
            <output />
          </form>
          {scenarios.map((scenario) => (
            <Card key={scenario.key} scenario={scenario} />
          ))}
        </section>
      </main>
      <footer>
        <p>
          “Holds” is said only after a search that ended by itself. What threads did not show may still be possible;
          what the explorer excludes is not. <span class="keys">Walk through a counterexample with ← and →.</span>
        </p>
      </footer>
    </>
  );
}

function headline({ surprises, variants }: Totals): string {
  if (variants === 0) return 'Nothing was checked';
  return surprises === 0 ? 'No surprise' : plural(surprises, 'surprise');
}

function rateText({ executions, raceSeconds }: Totals): string {
  return raceSeconds > 0 ? `${short(executions / raceSeconds)} a second` : 'nothing was raced';
}

interface TileProps {
  readonly name: string;
  readonly value: string;
  readonly note: string;
  readonly style?: string;
}

function Tile({ name, value, note, style = '' }: TileProps) {
  return (
    <div class={`tile ${style}`}>
      <dt>{name}</dt>
      <dd class="value">{value}</dd>
      <dd class="note">{note}</dd>
    </div>
  );
}

/** More are folded away. */
const MOST_SURPRISES = 15;

function Surprises({ scenarios }: { readonly scenarios: readonly ScenarioModel[] }) {
  const all = scenarios.flatMap(({ name, variants }) =>
    variants.filter(({ surprises }) => surprises.length > 0).map((variant) => ({ name, variant })),
  );
  if (all.length === 0) return null;
  const list = (part: typeof all) => (
    <ul>
      {part.map(({ name, variant }) => (
        <li key={variant.key}>
          <a href={`#${variant.key}`}>{titleOf(name, variant)}</a> {variant.surprises.join('; ')}
        </li>
      ))}
    </ul>
  );
  const more = all.slice(MOST_SURPRISES);
  return (
    <section class="surprises" aria-labelledby="surprises">
      <h2 id="surprises">Surprises</h2>
      {list(all.slice(0, MOST_SURPRISES))}
      {more.length === 0 ? null : (
        <details>
          <summary>{plural(more.length, 'further variant')}</summary>
          {list(more)}
        </details>
      )}
    </section>
  );
}

function titleOf(name: string, variant: VariantModel): string {
  return `${name} ${variant.name === '' ? variant.settings.join(', ') : variant.name}`;
}

function Overview({ scenarios }: { readonly scenarios: readonly ScenarioModel[] }) {
  return (
    <Scrolling label="Overview of the scenarios">
      <table class="overview">
        <thead>
          <tr>
            <th scope="col">scenario</th>
            <th scope="col" class="number">
              variants
            </th>
            <th scope="col" class="number">
              hold
            </th>
            <th scope="col" class="number">
              violated
            </th>
            <th scope="col" class="number">
              caught on threads
            </th>
            <th scope="col" class="number">
              states
            </th>
            <th scope="col" class="number">
              executions
            </th>
            <th scope="col" class="number">
              surprises
            </th>
          </tr>
        </thead>
        <tbody>
          {scenarios.map(({ key, name, totals }) => (
            <tr key={key}>
              <th scope="row">
                <a href={`#${key}`}>{name}</a>
              </th>
              <td class="number">{totals.variants}</td>
              <td class="number good">{totals.holds}</td>
              <td class={`number ${totals.violated > 0 ? 'bad' : 'faint'}`}>{totals.violated}</td>
              <td class={`number ${totals.catchable > 0 ? '' : 'faint'}`}>
                {totals.catchable === 0 ? '–' : `${totals.caught} of ${totals.catchable}`}
              </td>
              <td class="number">{count(totals.states)}</td>
              <td class="number">{short(totals.executions)}</td>
              <td class={`number ${totals.surprises > 0 ? 'bad' : 'faint'}`}>{totals.surprises}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scrolling>
  );
}

function Scrolling({ label, children }: { readonly label: string; readonly children: preact.ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and so has to be reached by keys.
    <section class="scrolling" tabIndex={0} aria-label={label}>
      {children}
    </section>
  );
}

function Card({ scenario }: { readonly scenario: ScenarioModel }) {
  const { key, name, sentence, sources, variants, totals } = scenario;
  return (
    <article class={`card ${totals.surprises > 0 ? 'surprising' : ''}`} id={key} aria-labelledby={`${key}-name`}>
      <h3 id={`${key}-name`}>
        <a href={`#${key}`}>{name}</a>
      </h3>
      <p class="sentence">{sentence}</p>
      {sources.length === 0 ? null : (
        <ul class="sources" aria-label="Sources">
          {sources.map((source) => (
            <li key={source}>{source}</li>
          ))}
        </ul>
      )}
      {variants.map((variant) => (
        <Variant key={variant.key} scenario={name} variant={variant} />
      ))}
    </article>
  );
}

function Variant({ scenario, variant }: { readonly scenario: string; readonly variant: VariantModel }) {
  const { key, name, settings, verdicts, quiet, surprises, races, agreement, traces } = variant;
  return (
    <details class="variant" id={key} open={surprises.length > 0}>
      <summary>
        <h4>
          {name === '' ? null : <b>{name}</b>}{' '}
          {settings.map((setting) => (
            <span key={setting} class="setting">
              {setting}
            </span>
          ))}
        </h4>
        <span class="chips">
          {surprises.length === 0 ? null : <span class="chip surprise">{plural(surprises.length, 'surprise')}</span>}
          {verdicts.map(({ invariant, found, differs }) => (
            <span key={invariant} class={`chip ${found} ${differs ? 'differs' : ''}`}>
              <span aria-hidden="true">{MARKS[found]}</span> {invariant} <span class="unseen-word">{found}</span>
            </span>
          ))}
        </span>
      </summary>
      <div class="body">
        {surprises.length === 0 ? null : (
          <ul class="surprises">
            {surprises.map((text) => (
              <li key={text}>{text}</li>
            ))}
          </ul>
        )}
        {verdicts.length === 0 ? null : <Verdicts verdicts={verdicts} />}
        {quiet === '' ? null : <p class="quiet">{quiet}</p>}
        <p class="agreement">{agreement}</p>
        {races.length === 0 ? null : <Outcomes variant={variant} />}
        <Races races={races} />
        {traces.map((trace) => (
          <Counterexample key={trace.walk} trace={trace} scenario={scenario} />
        ))}
      </div>
    </details>
  );
}

function Verdicts({ verdicts }: { readonly verdicts: readonly VerdictModel[] }) {
  return (
    <table class="verdicts stacking">
      <caption>Verdicts</caption>
      <thead>
        <tr>
          <th scope="col">invariant</th>
          <th scope="col">every interleaving</th>
          <th scope="col">on threads</th>
          <th scope="col">its file</th>
        </tr>
      </thead>
      <tbody>
        {verdicts.map((verdict) => (
          <tr key={verdict.invariant} class={verdict.differs ? 'differs' : undefined}>
            <th scope="row">
              {verdict.invariant}
              {verdict.sentence === '' ? null : <small>{verdict.sentence}</small>}
            </th>
            <td data-head="every interleaving">
              <span class={`mark ${verdict.found}`}>
                <span aria-hidden="true">{MARKS[verdict.found]}</span> {verdict.text}
              </span>
            </td>
            <td data-head="on threads">{verdict.threads}</td>
            <td data-head="its file">
              {verdict.judgement === '' ? null : <b class={verdict.differs ? 'bad' : undefined}>{verdict.judgement}</b>}
              {verdict.judgement !== '' && verdict.because !== '' ? ': ' : ''}
              {verdict.because}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Outcomes({ variant: { outcomes, races, logarithmic, unseen } }: { readonly variant: VariantModel }) {
  return (
    <table class="outcomes">
      <caption>
        Outcomes on threads <small>{logarithmic ? 'bars on a logarithmic scale' : 'bars in proportion'}</small>
      </caption>
      <thead>
        <tr>
          <th scope="col">outcome</th>
          <th scope="col">grade</th>
          {races.map(({ build }) => (
            <th key={build} scope="col" class="times">
              {build}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {outcomes.map((outcome) => (
          <OutcomeRow key={outcome.text} outcome={outcome} races={races} />
        ))}
        {unseen.map((text) => (
          <tr key={text} class="unseen">
            <th scope="row">
              <code>{text}</code>
            </th>
            <td class="faint">possible</td>
            <td class="faint" colSpan={races.length}>
              never seen on threads
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function OutcomeRow({ outcome, races }: { readonly outcome: OutcomeModel; readonly races: readonly RaceModel[] }) {
  const { text, grade, because, impossible, counts } = outcome;
  return (
    <tr class={grade}>
      <th scope="row">
        <code>{text}</code>
        {because === '' ? null : <small>{because}</small>}
        {impossible ? <strong class="bad">The explorer excludes it.</strong> : null}
      </th>
      <td>
        <span class={`grade ${grade}`}>{grade}</span>
      </td>
      {counts.map(({ count: times, share, length }, n) => (
        <td key={races[n]?.build} class="times" data-head={races[n]?.build}>
          <svg class={`bar ${grade}`} width="100%" height="8" aria-hidden="true">
            <rect class="track" width="100%" height="8" rx="2" />
            {times === 0 ? null : <rect width={`${(Math.max(0.004, length) * 100).toFixed(1)}%`} height="8" rx="2" />}
          </svg>
          <span class="number">{count(times)}</span> <span class="share">{share}</span>
        </td>
      ))}
    </tr>
  );
}

function Races({ races }: { readonly races: readonly RaceModel[] }) {
  return (
    <div class="races">
      <ul>
        {races.map(({ build, text, perSecond, notes }) => (
          <li key={build}>
            <b>{build}</b> {text}, {short(perSecond)} a second
            {notes.map((note) => (
              <small key={note}>{note}</small>
            ))}
          </li>
        ))}
      </ul>
      <Throughput races={races} />
    </div>
  );
}

function Counterexample({ trace, scenario }: { readonly trace: TraceModel; readonly scenario: string }) {
  const { title, command, walk, text, invariant } = trace;
  return (
    <section class="counterexample" aria-label={`How ${invariant} of ${scenario} is violated`}>
      <h5>{title}</h5>
      <p class="token">
        <code>{command}</code>
      </p>
      <div class="walk" data-walk={walk}>
        <noscript>
          <pre>{text}</pre>
        </noscript>
      </div>
    </section>
  );
}
