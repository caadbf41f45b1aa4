/** Style of the page around the charts. Fonts are the reader's own: the file fetches nothing. */

export const pageCss = `
:root{--sans:ui-sans-serif,system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue','Noto Sans','Liberation Sans',sans-serif;--mono:ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace;}
*{box-sizing:border-box;}
html{-webkit-text-size-adjust:100%;}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 var(--sans);}
.page{max-width:1120px;margin:0 auto;padding:40px 24px 72px;}
h1,h2,h3{line-height:1.2;text-wrap:balance;margin:0;}
h1{font-size:clamp(1.75rem,1.2rem + 2.2vw,2.6rem);letter-spacing:-.022em;font-weight:700;}
h2{font-size:clamp(1.3rem,1.1rem + .9vw,1.7rem);letter-spacing:-.015em;font-weight:680;}
h3{font-size:1rem;font-weight:650;}
p{margin:.7em 0;max-width:74ch;text-wrap:pretty;}
a{color:var(--accent);text-underline-offset:.18em;}
a:focus-visible,summary:focus-visible,.scroll:focus-visible{outline:2px solid var(--accent);outline-offset:3px;border-radius:3px;}
.skip{position:absolute;left:-9999px;}
.skip:focus{left:16px;top:12px;background:var(--panel);padding:8px 12px;z-index:1;}
.eyebrow{margin:0 0 10px;color:var(--ink-soft);font-size:.82rem;font-weight:600;letter-spacing:.08em;text-transform:uppercase;}
.headline{font-size:clamp(1.08rem,1rem + .4vw,1.28rem);line-height:1.45;margin:.75em 0 0;max-width:70ch;color:var(--ink);text-wrap:pretty;}
.runline{margin:.6em 0 0;color:var(--ink-soft);font-size:.92rem;}
.tiles{list-style:none;margin:28px 0 0;padding:0;display:grid;gap:12px;grid-template-columns:repeat(auto-fit,minmax(min(100%,300px),1fr));}
.tile-card{background:var(--panel);border:1px solid var(--rule);border-left:5px solid var(--edge);border-radius:8px;padding:14px 16px 13px;display:grid;grid-template-rows:subgrid;grid-row:span 4;gap:2px;}
.tile-good{--edge:var(--good);} .tile-bad{--edge:var(--bad);} .tile-neutral{--edge:var(--quiet);}
.tile-label{color:var(--ink-soft);font-size:.88rem;line-height:1.35;}
.tile-value{font-size:2rem;line-height:1.15;font-weight:700;letter-spacing:-.02em;font-variant-numeric:tabular-nums;}
.tile-value small{font-size:.55em;font-weight:600;color:var(--ink-soft);letter-spacing:0;}
.tile-says{font-weight:600;font-size:.92rem;}
.tile-good .tile-says{color:var(--good);} .tile-bad .tile-says{color:var(--bad);}
.tile-facts{color:var(--ink-soft);font-size:.8rem;line-height:1.4;font-variant-numeric:tabular-nums;}
.standins{margin:.8em 0 0;padding:8px 14px;background:var(--panel);border:1px solid var(--rule);border-left:5px solid var(--other);border-radius:6px;font-size:.95rem;max-width:none;}
nav.contents{margin:28px 0 0;padding:12px 0;border-block:1px solid var(--rule);font-size:.92rem;}
nav.contents ul{list-style:none;margin:0;padding:0;display:flex;flex-wrap:wrap;gap:4px 20px;}
nav.contents a{text-decoration:none;} nav.contents a:hover{text-decoration:underline;}
main>section{margin-top:60px;scroll-margin-top:16px;}
.lead{font-size:1.05rem;color:var(--ink-soft);margin:.5em 0 1em;}
.lead .key{color:var(--tone-ink);}
.small{font-size:.85rem;color:var(--ink-soft);line-height:1.45;}
.panels{display:grid;gap:20px;margin:18px 0;align-items:start;}
.panels-wide{grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));}
.panels-medium,.panels-small{grid-template-columns:repeat(auto-fit,minmax(min(100%,280px),1fr));}
.panels>figure:only-child{max-width:546px;}
.panels>details{margin:0;}
.under-title{margin:-6px 0 14px;}
figure{margin:0;background:var(--panel);border:1px solid var(--rule);border-radius:8px;padding:16px 18px 14px;min-width:0;}
figure>h3{margin-bottom:12px;}
figcaption{margin-top:10px;font-size:.86rem;line-height:1.5;color:var(--ink-soft);}
.wide-title{font-size:1.12rem;margin:32px 0 4px;}
main>section>figure{margin:18px 0;}
.key{font-weight:600;white-space:nowrap;}
.key::before{content:'';display:inline-block;width:.62em;height:.62em;border-radius:50%;background:var(--tone);margin-right:.34em;vertical-align:.04em;}
.key-hollow::before{background:none;border:2px solid var(--tone);}
.key-paper{white-space:nowrap;}
.key-paper::before{content:'';display:inline-block;width:.55em;height:.55em;border:1.5px solid var(--ink);transform:rotate(45deg);margin:0 .5em 0 .2em;vertical-align:.05em;}
.chart-key{max-width:none;margin:-6px 0 14px;display:flex;flex-wrap:wrap;gap:4px 18px;}
.chart{max-width:620px;margin:0 auto;}
.panels-medium .chart,.panels-small .chart{max-width:380px;}
.trigger{display:grid;grid-template-columns:minmax(170px,250px) minmax(0,1fr);gap:24px;align-items:start;}
.close-up .small{margin:.5em 0 0;}
.pixels{display:block;width:100%;height:auto;image-rendering:pixelated;background:var(--sunken);border:1px solid var(--rule);}
.pixels-heat{filter:var(--heat,none);}
.matrix{display:grid;gap:8px;max-width:760px;}
.matrix-row{display:grid;grid-template-columns:84px repeat(var(--columns),minmax(0,1fr));gap:8px;align-items:center;}
.matrix-label{font-size:.86rem;color:var(--ink-soft);}
.matrix-text{font-size:.92rem;font-weight:600;text-align:center;font-variant-numeric:tabular-nums;}
.scroll{overflow-x:auto;margin:14px 0;}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums;min-width:min(100%,420px);}
.caption{display:inline-block;position:sticky;left:0;max-width:min(100%,calc(100vw - 64px));}
caption{text-align:left;caption-side:top;color:var(--ink-soft);font-size:.86rem;padding:0 0 8px;line-height:1.45;}
th,td{padding:6px 20px 6px 0;text-align:right;vertical-align:top;border-bottom:1px solid var(--grid);}
th:last-child,td:last-child{padding-right:2px;}
thead th{vertical-align:bottom;border-bottom:1.5px solid var(--quiet);font-weight:600;line-height:1.3;}
tbody th{font-weight:600;white-space:nowrap;}
tbody th,thead tr>:first-child{position:sticky;left:0;background:var(--panel);}
th:first-child,.words{text-align:left;}
tr.total th,tr.total td{border-top:1.5px solid var(--quiet);}
.group{padding:6px 0 0;text-align:center;border-bottom:0;}
.group span{display:block;margin:0 20px 0 12px;padding-bottom:5px;border-bottom:1px solid var(--quiet);}
.group:last-child span{margin-right:0;}
thead td{border-bottom:0;}
.unit{font-weight:400;color:var(--ink-soft);}
td .value{display:block;font-weight:600;white-space:nowrap;}
.interval,.n,.paper{display:block;font-size:.78rem;line-height:1.4;color:var(--ink-soft);white-space:nowrap;font-weight:400;}
.paper{color:var(--ink);}
.paper::before{content:'';display:inline-block;width:.5em;height:.5em;border:1.2px solid var(--ink);transform:rotate(45deg);margin-right:.45em;vertical-align:.08em;}
.none{color:var(--ink-soft);}
details{margin:12px 0;border:1px solid var(--rule);border-radius:8px;background:var(--panel);padding:0 18px;}
figure details{margin:14px 0 2px;background:none;}
summary{cursor:pointer;padding:10px 0;font-weight:600;font-size:.92rem;color:var(--accent);}
details[open]>summary{border-bottom:1px solid var(--grid);}
.beside{display:flex;flex-wrap:wrap;gap:0 40px;align-items:start;}
.beside>.scroll{max-width:100%;}
.beside>.notes{flex:1 1 13rem;}
.notes{border-left:4px solid var(--rule);padding:2px 0 2px 16px;margin:16px 0;font-size:.93rem;}
.notes ul{margin:0;padding:0;list-style:none;display:grid;gap:6px;max-width:78ch;}
pre{background:var(--sunken);border:1px solid var(--rule);border-radius:8px;padding:14px 16px;overflow-x:auto;font:.9rem/1.5 var(--mono);margin:12px 0;white-space:pre-wrap;overflow-wrap:anywhere;}
code{font-family:var(--mono);}
.hash{display:inline-block;min-width:24ch;font-size:.72rem;overflow-wrap:anywhere;}
.fill table{width:100%;}
.fill td:has(.meter){width:45%;}
.fill .meter{width:100%;min-width:60px;}
td:not(.words){white-space:nowrap;}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,210px),1fr));gap:12px 24px;margin:20px 0;}
.facts dt{color:var(--ink-soft);font-size:.8rem;} .facts dd{margin:0;font-weight:600;overflow-wrap:anywhere;}
.meter{display:inline-block;width:clamp(60px,14vw,180px);height:.62em;background:linear-gradient(var(--clean),var(--clean)) left/var(--share) 100% no-repeat,var(--sunken);border-radius:2px;print-color-adjust:exact;-webkit-print-color-adjust:exact;}
footer{margin-top:64px;padding-top:16px;border-top:1px solid var(--rule);color:var(--ink-soft);font-size:.86rem;}
.claims{list-style:none;margin:18px 0;padding:0;background:var(--panel);border:1px solid var(--rule);border-radius:8px;}
.claim{display:grid;grid-template-columns:11rem minmax(0,1fr);gap:4px 20px;padding:14px 18px;}
.claim+.claim{border-top:1px solid var(--grid);}
.claim p,.substitutes p{margin:0;max-width:none;}
.claim-holds{--mark:var(--good);} .claim-holds-in-part{--mark:var(--other-ink);} .claim-does-not-hold{--mark:var(--bad);} .claim-not-tested{--mark:var(--ink-soft);}
.claim-verdict{display:flex;gap:.5em;align-items:center;align-self:start;color:var(--mark);font-weight:700;}
.claim-text{display:grid;gap:4px;}
.claim-words{font-weight:600;}
.claim-parts{list-style:none;margin:2px 0;padding:0;display:flex;flex-wrap:wrap;gap:2px 18px;font-size:.9rem;}
.claim-parts li{white-space:nowrap;}
.claim-part-verdict{color:var(--mark);font-weight:600;}
.mark{width:1.15em;height:1.15em;flex:none;vertical-align:-.2em;color:var(--mark);}
.claim-parts .mark{width:.95em;height:.95em;margin-right:.35em;vertical-align:-.12em;}
.mark-full{fill:currentColor;} .mark-line{fill:none;stroke:currentColor;stroke-width:2;stroke-linecap:round;} .mark-dashed{stroke-dasharray:3 4;}
.mark-cut{fill:none;stroke:var(--panel);stroke-width:2.4;stroke-linecap:round;stroke-linejoin:round;}
.substitutes{background:var(--panel);border:2px solid var(--other);border-left-width:10px;border-radius:8px;padding:14px 20px 16px;margin:16px 0;}
.substitutes ul{margin:10px 0 0;padding:0 0 0 1.2em;display:grid;gap:6px;max-width:84ch;}
.table-one{table-layout:fixed;}
.table-one thead th:first-child{width:8.6rem;}
.table-one th,.table-one td{padding-right:0;padding-left:14px;}
.table-one tr>:first-child{padding-left:0;}
.table-one thead th{text-align:left;}
.table-one td{text-align:left;}
.table-one td:last-child,.table-one thead th:last-child{padding-right:6px;}
.table-one .network th{text-align:left;padding-top:14px;font-size:1rem;position:static;border-bottom:0;}
.table-one .network .n{display:inline;margin-left:.8em;}
.table-one tbody tr:not(.network) th{color:var(--tone-ink);font-size:.86rem;position:static;white-space:normal;}
.table-one td .value{font-size:1.08rem;line-height:1.3;}
.rate-bar{display:block;position:relative;height:8px;margin:2px 0 4px;border-radius:2px;background:linear-gradient(var(--tone),var(--tone)) left/var(--share) 100% no-repeat,var(--rule);print-color-adjust:exact;-webkit-print-color-adjust:exact;}
.rate-paper{position:absolute;left:var(--at);top:50%;width:8px;height:8px;margin:-4px 0 0 -4px;border:1.5px solid var(--ink);background:var(--panel);transform:rotate(45deg);}
@media (max-width:640px){
tbody th{white-space:normal;max-width:36vw;}
.claim{grid-template-columns:minmax(0,1fr);padding:12px;}
.substitutes{padding:12px 14px;}
.table-one thead th:first-child{width:4.9rem;}
.table-one th,.table-one td{padding-left:8px;}
.page{padding:24px 16px 48px;}
figure{padding:14px 12px 12px;}
details{padding:0 12px;}
.trigger{grid-template-columns:minmax(0,1fr);gap:18px;}
.close-up{max-width:260px;}
.matrix-row{grid-template-columns:66px repeat(var(--columns),minmax(0,1fr));gap:5px;}
.matrix-label,.matrix-text{font-size:.74rem;}
main>section{margin-top:48px;}
}
@media print{
body{font-size:10.5pt;background:#fff;}
.page{max-width:none;padding:0;}
nav.contents,.skip{display:none;}
figure,.tile-card,tr,.notes,.claim,.substitutes{break-inside:avoid;}
h2,h3{break-after:avoid;}
main>section{margin-top:28px;}
details::details-content{content-visibility:visible;block-size:auto;}
.scroll{overflow:visible;}
.panels-wide{grid-template-columns:1fr 1fr;}
.panels-small{grid-template-columns:1fr 1fr 1fr;}
.pixels,.chart{print-color-adjust:exact;-webkit-print-color-adjust:exact;}
}
`;
