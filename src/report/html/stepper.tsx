// A counterexample that can be walked through: its diagram, the step that is looked at, and the state of the machine after it.
//
// Guarantees: buttons, slider and keys do the same; the keys are those of a slider (arrows, Home, End) wherever the focus is inside. Everything
// that is shown by colour is said by a word too.

import { useEffect, useRef, useState } from 'preact/hooks';
import { GROUPS, type Walk, type WalkRow } from './walk.ts';

const COLOURS = 5;

export function Stepper({ walk, label }: { readonly walk: Walk; readonly label: string }) {
  const { columns, steps, rows, start, end, verdicts } = walk;
  const last = steps.length;
  const [at, setAt] = useState(last);
  const scroller = useRef<HTMLDivElement>(null);
  const go = (to: number) => setAt(Math.max(0, Math.min(last, to)));
  const step = steps[at - 1];
  const current = step === undefined ? -1 : step.row;

  useEffect(() => {
    const box = scroller.current;
    const row = box?.querySelector<HTMLElement>('[aria-current]');
    if (box === null || box === undefined || row === null || row === undefined) return;
    const above = row.offsetTop - box.scrollTop;
    const wanted = above < 40 || above + row.offsetHeight > box.clientHeight - 8;
    if (wanted) box.scrollTop = row.offsetTop - box.clientHeight / 2 + row.offsetHeight / 2;
  });

  const onKeyDown = (event: KeyboardEvent) => {
    const moves: Readonly<Record<string, number>> = {
      ArrowLeft: at - 1,
      ArrowUp: at - 1,
      ArrowRight: at + 1,
      ArrowDown: at + 1,
      Home: 0,
      End: last,
    };
    const to = moves[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    go(to);
  };

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: keys of the controls inside, wherever among them the focus is.
    <div class="stepper" onKeyDown={onKeyDown}>
      <div class="controls">
        <button
          type="button"
          onClick={() => go(0)}
          disabled={at === 0}
          aria-label="To the start"
          title="To the start (Home)"
        >
          ⇤
        </button>
        <button
          type="button"
          onClick={() => go(at - 1)}
          disabled={at === 0}
          aria-label="Step back"
          title="Step back (←)"
        >
          ←
        </button>
        <button
          type="button"
          onClick={() => go(at + 1)}
          disabled={at === last}
          aria-label="Step on"
          title="Step on (→)"
        >
          →
        </button>
        <button
          type="button"
          onClick={() => go(last)}
          disabled={at === last}
          aria-label="To the end"
          title="To the end (End)"
        >
          ⇥
        </button>
        <input
          type="range"
          min={0}
          max={last}
          value={at}
          aria-label={`Step of ${label}`}
          aria-valuetext={
            step === undefined ? 'before the first step' : `step ${at} of ${last}: ${step.cpu} ${step.text}`
          }
          onInput={(event) => go(event.currentTarget.valueAsNumber)}
        />
        <span class="where">
          step <b>{at}</b> of {last}
        </span>
      </div>
      <p class={`now ${step === undefined || step.column < 0 ? '' : `c${step.column % COLOURS}`}`} role="status">
        {step === undefined ? (
          <>
            <b>At the start</b>
            <span class="what">{start.join(', ')}</span>
          </>
        ) : (
          <>
            <b>{step.cpu}</b>
            {step.line === '' ? null : <code>{step.line}</code>}
            <span class="what">{step.text}</span>
            {step.violated.map((name) => (
              <strong key={name} class="bad">{`violates ${name}`}</strong>
            ))}
          </>
        )}
      </p>
      <div class="sides">
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and so has to be reached by keys. */}
        <section class="scroller" ref={scroller} tabIndex={0} aria-label={`Diagram: ${label}`}>
          <table class="diagram">
            <thead>
              <tr>
                <th scope="col" class="number">
                  step
                </th>
                {columns.map(({ name, title }, n) => (
                  <th key={name} scope="col" class={`c${n % COLOURS}`}>
                    {name} {title === name ? '' : <small>{title}</small>}
                  </th>
                ))}
                <th scope="col">changes</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row, n) => (
                <Line
                  key={n}
                  row={row}
                  columns={columns}
                  isNow={n === current}
                  isAhead={row.first === 0 ? at < last : row.first > at}
                  go={go}
                />
              ))}
            </tbody>
          </table>
        </section>
        <State walk={walk} at={at} />
      </div>
      <p class="conclusion">
        {end.length === 0 ? null : (
          <>
            <b>At the end</b> {end.join(', ')}.{' '}
          </>
        )}
        {verdicts.map((text) => (
          <strong key={text} class="bad">
            {text}
          </strong>
        ))}
      </p>
    </div>
  );
}

interface LineProps {
  readonly row: WalkRow;
  readonly columns: Walk['columns'];
  readonly isNow: boolean;
  readonly isAhead: boolean;
  readonly go: (step: number) => void;
}

function Line({ row, columns, isNow, isAhead, go }: LineProps) {
  const { column, first, last, text, notes, changes, violated } = row;
  const cell = (
    <>
      <code>{text}</code>
      {notes === '' ? null : <small>{notes}</small>}
      {violated.map((name) => (
        <strong key={name} class="bad">{`violates ${name}`}</strong>
      ))}
    </>
  );
  const style = `${isNow ? 'now' : isAhead ? 'ahead' : ''}${violated.length > 0 ? ' wrong' : ''}`;
  return (
    <tr class={style} aria-current={isNow ? 'step' : undefined}>
      <th scope="row" class="number">
        {first === 0 ? (
          'never'
        ) : (
          <button type="button" onClick={() => go(last)} aria-label={`Go to step ${last}`}>
            {first}
          </button>
        )}
      </th>
      {column < 0 ? (
        <td colSpan={columns.length} class="cell after" data-cpu="afterwards">
          {cell}
        </td>
      ) : (
        columns.map(({ name }, n) =>
          n === column ? (
            <td key={name} class={`cell c${n % COLOURS}`} data-cpu={name}>
              {cell}
            </td>
          ) : (
            <td key={name} class="none" />
          ),
        )
      )}
      <td class="changes">
        {changes.map((change) => (
          <span key={change}>{change}</span>
        ))}
      </td>
    </tr>
  );
}

/** What everything is after step `at`. */
function State({ walk, at }: { readonly walk: Walk; readonly at: number }) {
  const { places, steps } = walk;
  const values = places.map(({ value }) => value);
  const before = new Map<number, string>();
  for (const [n, { changes }] of steps.slice(0, at).entries()) {
    for (const [place, value] of changes) {
      if (n === at - 1 && !before.has(place)) before.set(place, values[place] ?? '');
      values[place] = value;
    }
  }
  return (
    <table class="state">
      <caption>{at === 0 ? 'State at the start' : `State after step ${at}`}</caption>
      {GROUPS.map((group, g) => {
        const own = places.map((place, n) => ({ ...place, n })).filter((place) => place.group === g);
        if (own.length === 0) return null;
        return (
          <tbody key={group}>
            <tr>
              <th scope="rowgroup" colSpan={2} class="group">
                {group}
              </th>
            </tr>
            {own.map(({ name, n }) => (
              <tr key={n} class={before.has(n) ? 'changed' : undefined}>
                <th scope="row">{g === 1 ? name.replace(/ TLB$/, '') : name}</th>
                <td>
                  <code class={values[n] === 'empty' || values[n] === 'none' || values[n] === 'free' ? 'faint' : ''}>
                    {values[n]}
                  </code>
                  {before.has(n) ? <small>{`was ${before.get(n)}`}</small> : null}
                </td>
              </tr>
            ))}
          </tbody>
        );
      })}
    </table>
  );
}
