/** Style of the sections on the supply chain. */

export const supplyChainCss = `
.days{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:4px 18px;margin:14px 0 18px;font-size:.92rem;}
.days dt{font-weight:650;} .days dd{margin:0;color:var(--ink-soft);max-width:84ch;}
.days .day-bad{color:var(--bad);}
.ends{width:100%;table-layout:fixed;}
.ends th,.ends td{text-align:left;padding:10px 14px 10px 0;}
.ends thead th:first-child{width:21%;}
.ends tbody th{white-space:normal;line-height:1.35;position:static;}
.ends tbody th .small{display:block;font-weight:400;}
.ends td{white-space:normal;}
.end{--mark:var(--quiet-ink);}
.end-honest{--mark:var(--good);} .end-backdoored{--mark:var(--bad);}
.end-word{display:flex;align-items:center;gap:.4em;font-weight:700;color:var(--mark);line-height:1.3;}
.end-rates{display:grid;grid-template-columns:minmax(0,1fr) max-content;gap:2px 8px;align-items:center;margin:5px 0 0;font-size:.8rem;max-width:150px;}
.end-rates .rate-bar{margin:0;height:7px;}
.end-note{display:block;margin-top:4px;font-size:.78rem;line-height:1.35;color:var(--ink-soft);overflow-wrap:anywhere;}
.end-note code{font-size:.95em;}
.end-key{display:flex;flex-wrap:wrap;gap:4px 20px;margin:0 0 12px;font-size:.86rem;color:var(--ink-soft);max-width:none;}
.end-key .end{display:inline-flex;gap:.4em;align-items:center;}
.end-key .end .mark{color:var(--mark);}
.events{list-style:none;margin:0;padding:0;}
.event{display:grid;grid-template-columns:3.2rem minmax(0,1fr);gap:0 14px;position:relative;padding:0 0 16px;}
.event:not(:last-child)::before{content:'';position:absolute;left:1.55rem;top:1.9rem;bottom:0;border-left:2px solid var(--rule);}
.event-when{justify-self:center;align-self:start;min-width:2.5rem;text-align:center;padding:2px 6px;border:2px solid var(--edge);border-radius:6px;background:var(--panel);font-weight:700;font-size:.84rem;white-space:nowrap;}
.event-honest{--edge:var(--good);} .event-harm{--edge:var(--bad);} .event-user{--edge:var(--quiet);}
.event p{margin:0;}
.event-who{font-size:.82rem;font-weight:600;color:var(--ink-soft);}
.event .hash{display:block;color:var(--ink-soft);}
.cards{display:grid;gap:14px;margin:18px 0;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));align-items:start;}
.card{background:var(--panel);border:1px solid var(--rule);border-radius:8px;padding:14px 18px 8px;min-width:0;}
.card:has(details[open]){grid-column:1/-1;}
.card h3{margin-bottom:2px;}
.card p{margin:.3em 0;max-width:none;font-size:.94rem;}
.card dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:4px 14px;margin:10px 0;font-size:.9rem;}
.card dt{color:var(--ink-soft);} .card dd{margin:0;}
.card pre{font-size:.78rem;margin:8px 0;padding:10px 12px;}
.card details{margin:10px 0;padding:0;border:0;border-top:1px solid var(--grid);border-radius:0;}
.card details h4{margin:10px 0 2px;font-size:.86rem;font-weight:650;}
.card .fate{display:flex;gap:.4em;align-items:center;color:var(--mark);font-weight:650;font-size:.86rem;}
.fates{list-style:none;margin:10px 0;padding:0;display:grid;gap:8px;}
.fates code{font-size:.82rem;}
.fates .said{margin:2px 0 0;padding:0 0 0 1.7em;font-size:.84rem;color:var(--ink-soft);overflow-wrap:anywhere;}
.tag{display:inline-block;border:1.5px solid var(--edge);border-radius:999px;padding:0 .7em;font-size:.8rem;font-weight:650;color:var(--edge);margin-left:.6em;white-space:nowrap;}
.tag-right{--edge:var(--good);} .tag-other{--edge:var(--bad);}
.sure .claim{--mark:var(--ink-soft);}
.sure .sure-firm{--mark:var(--good);} .sure .sure-weak{--mark:var(--other-ink);}
.sure .claim-words{font-weight:400;}
.sure .claim-verdict{font-weight:600;font-size:.88rem;align-items:flex-start;}
.sure .claim-verdict .mark{margin-top:.1em;}
@media (max-width:900px){
.ends,.ends tbody,.ends tr,.ends td,.ends tbody th{display:block;}
.ends thead{display:none;}
.ends tr{border-bottom:1.5px solid var(--quiet);padding:10px 0;}
.ends tbody th{max-width:none;border-bottom:0;padding:0 0 4px;}
.ends td{display:grid;grid-template-columns:8.2rem minmax(0,1fr);gap:0 10px;padding:5px 0;border-bottom:0;}
.ends td::before{content:attr(data-day);font-size:.84rem;color:var(--ink-soft);}
.ends td>*{grid-column:2;}
.ends td>.end-word{grid-row:1;}
.days{grid-template-columns:minmax(0,1fr);gap:0;} .days dd{margin-bottom:8px;}
}
@media print{.card,.event,.ends tr{break-inside:avoid;}}
`;
