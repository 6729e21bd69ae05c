"""Words of the made-up comments: templates with slots by language and class, written for this market."""

from __future__ import annotations

from functools import cache
from itertools import product
from string import Formatter

CLASSES = ("hollow", "emoji", "spam", "question", "intent", "substance")
EMOJI = ("😍", "🔥", "❤️", "👏", "🙌", "💯", "✨", "😂", "🥰", "👌", "💪", "🤩")
TAILS = ("", "!", "!!", " 😍", " 🔥", " ❤️", "...", " 👏👏")

WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "praise": ("Nice", "Wow", "Love this", "So pretty", "Amazing", "Great post", "Goals", "Perfect", "Beautiful"),
        "thing": ("lamp", "jacket", "tripod", "blender", "backpack", "serum", "keyboard", "planner", "stroller", "pan"),
        "trait": ("light", "sturdy", "quiet", "easy to clean", "comfortable", "warm", "soft", "practical"),
        "time": ("two weeks", "a month", "half a year", "one summer", "three trips", "forty days"),
        "who": ("my sister", "my dad", "a friend", "our club", "my flatmate", "my partner"),
    },
    "de": {
        "praise": ("Schön", "Wow", "Mega", "So toll", "Klasse", "Super Beitrag", "Hammer", "Perfekt"),
        "thing": ("die Lampe", "die Jacke", "das Stativ", "den Mixer", "den Rucksack", "das Serum", "die Pfanne"),
        "trait": ("leicht", "stabil", "leise", "bequem", "warm", "praktisch", "pflegeleicht"),
        "time": ("zwei Wochen", "einem Monat", "einem halben Jahr", "drei Reisen", "vierzig Tagen"),
        "who": ("meiner Schwester", "meinem Vater", "einer Freundin", "unserem Verein", "meinem Mitbewohner"),
    },
    "fr": {
        "praise": ("Joli", "Wouah", "J'adore", "Trop beau", "Magnifique", "Super post", "Parfait"),
        "thing": ("la lampe", "la veste", "le trépied", "le mixeur", "le sac", "le sérum", "la poêle"),
        "trait": ("pratique", "solide", "stable", "confortable", "agréable", "fiable", "simple"),
        "time": ("deux semaines", "un mois", "six mois", "trois voyages", "quarante jours"),
        "who": ("ma sœur", "mon père", "une amie", "notre club", "mon colocataire"),
    },
    "es": {
        "praise": ("Lindo", "Guau", "Me encanta", "Qué bonito", "Increíble", "Gran post", "Perfecto"),
        "thing": ("la lámpara", "la chaqueta", "el trípode", "la batidora", "la mochila", "el sérum", "la sartén"),
        "trait": ("fácil de limpiar", "resistente", "estable", "agradable", "útil", "fiable", "flexible"),
        "time": ("dos semanas", "un mes", "medio año", "tres viajes", "cuarenta días"),
        "who": ("mi hermana", "mi padre", "una amiga", "nuestro club", "mi compañero"),
    },
    "it": {
        "praise": ("Bello", "Wow", "Lo adoro", "Che carino", "Stupendo", "Bel post", "Perfetto"),
        "thing": ("la lampada", "la giacca", "il treppiede", "il frullatore", "lo zaino", "il siero", "la padella"),
        "trait": ("facile da pulire", "resistente", "stabile", "piacevole", "utile", "affidabile", "semplice"),
        "time": ("due settimane", "un mese", "sei mesi", "tre viaggi", "quaranta giorni"),
        "who": ("mia sorella", "mio padre", "un'amica", "il nostro circolo", "il mio coinquilino"),
    },
    "pt": {
        "praise": ("Lindo", "Uau", "Amei", "Que fofo", "Incrível", "Ótimo post", "Perfeito"),
        "thing": ("a luminária", "a jaqueta", "o tripé", "o mixer", "a mochila", "o sérum", "a panela"),
        "trait": ("fácil de limpar", "resistente", "estável", "agradável", "útil", "confiável", "leve"),
        "time": ("duas semanas", "um mês", "meio ano", "três viagens", "quarenta dias"),
        "who": ("minha irmã", "meu pai", "uma amiga", "nosso clube", "meu colega"),
    },
}

TEMPLATES: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "spam": ("Earn {n} dollars a day from home, message me", "Follow me back and I follow {n} people today",
                 "Free followers here: http://shop{n}.example", "Check my page for gift card number {n}"),
        "question": ("Is the {thing} {trait} enough for every day?", "How long did the {thing} last, {time} or more?",
                     "Would the {thing} work for {who}?", "Did you try the {thing} before or after {time}?"),
        "intent": ("Just ordered the {thing}, it looked so {trait}", "Where can I buy the {thing} for {who}?",
                   "Is your code still valid for the {thing}?", "Put the {thing} in my cart after {time} of doubt"),
        "substance": ("After {time} the {thing} is still {trait}, as you said in the spring",
                      "I gave the {thing} to {who}, and {time} later we both use it",
                      "I disagree about the {thing}: for {who} it was not {trait} at all",
                      "Your tip to wait {time} with the {thing} saved me money"),
        "reply": ("Thank you! I wrote about the {thing} below", "It was {trait} for me, tell me how it goes",
                  "Yes, {time} should be enough", "Good question, I will show the {thing} next week"),
    },
    "de": {
        "spam": ("Verdiene {n} Euro am Tag von zu Hause, schreib mir", "Folge mir zurück, heute folge ich {n} Leuten",
                 "Gratis Follower: http://shop{n}.example"),
        "question": ("Ist das wirklich {trait}?", "Hast du {thing} schon seit {time}?", "Passt das auch zu {who}?"),
        "intent": ("Habe {thing} gerade bestellt, sieht {trait} aus", "Wo kann ich {thing} kaufen?",
                   "Gilt dein Code noch, wenn ich {thing} mit {who} zusammen bestelle?"),
        "substance": ("Nach {time} immer noch {trait}, genau wie du im Frühjahr gesagt hast",
                      "Ich habe {thing} mit {who} getestet und nach {time} behalten",
                      "Da bin ich anderer Meinung, bei {who} war das gar nicht {trait}"),
        "reply": ("Danke dir! Ich zeige {thing} nächste Woche", "Bei mir war es {trait}, erzähl mal"),
    },
    "fr": {
        "spam": ("Gagne {n} euros par jour depuis chez toi, écris-moi", "Abonne-toi, je suis {n} personnes aujourd'hui",
                 "Abonnés gratuits : http://shop{n}.example"),
        "question": ("C'est vraiment {trait} ?", "Tu as {thing} depuis {time} ?", "Ça irait pour {who} ?"),
        "intent": ("Je viens de commander {thing}, ça a l'air {trait}", "Où acheter {thing} pour {who} ?",
                   "Ton code marche encore pour {thing} ?"),
        "substance": ("Après {time} c'est toujours {trait}, comme tu le disais au printemps",
                      "J'ai essayé {thing} avec {who}, et au bout de {time} on garde",
                      "Pas d'accord, pour {who} ce n'était pas {trait} du tout"),
        "reply": ("Merci ! Je montre {thing} la semaine prochaine", "Chez moi c'était {trait}, dis-moi"),
    },
    "es": {
        "spam": ("Gana {n} euros al día desde casa, escríbeme", "Sígueme y hoy sigo a {n} personas",
                 "Seguidores gratis: http://shop{n}.example"),
        "question": ("¿De verdad es {trait}?", "¿Tienes {thing} desde hace {time}?", "¿Serviría para {who}?"),
        "intent": ("Acabo de pedir {thing}, parece {trait}", "¿Dónde puedo comprar {thing} para {who}?",
                   "¿Tu código todavía vale para {thing}?"),
        "substance": ("Después de {time} sigue siendo {trait}, como dijiste en primavera",
                      "Probé {thing} con {who} y pasados {time} nos lo quedamos",
                      "No estoy de acuerdo, para {who} no fue nada {trait}"),
        "reply": ("¡Gracias! La semana que viene enseño {thing}", "Para mí fue {trait}, ya me contarás"),
    },
    "it": {
        "spam": ("Guadagna {n} euro al giorno da casa, scrivimi", "Seguimi, oggi seguo {n} persone",
                 "Follower gratis: http://shop{n}.example"),
        "question": ("È davvero {trait}?", "Hai {thing} da {time}?", "Andrebbe bene per {who}?"),
        "intent": ("Ho appena ordinato {thing}, sembra {trait}", "Dove posso comprare {thing} per {who}?",
                   "Il tuo codice vale ancora per {thing}?"),
        "substance": ("Dopo {time} è ancora {trait}, come dicevi in primavera",
                      "Ho provato {thing} con {who} e dopo {time} l'abbiamo tenuto",
                      "Non sono d'accordo, per {who} non era affatto {trait}"),
        "reply": ("Grazie! La prossima settimana mostro {thing}", "Per me era {trait}, fammi sapere"),
    },
    "pt": {
        "spam": ("Ganhe {n} reais por dia em casa, me chama", "Me segue que hoje sigo {n} pessoas",
                 "Seguidores grátis: http://shop{n}.example"),
        "question": ("É {trait} mesmo?", "Você tem {thing} faz {time}?", "Serviria para {who}?"),
        "intent": ("Acabei de pedir {thing}, parece {trait}", "Onde compro {thing} para {who}?",
                   "Seu código ainda vale para {thing}?"),
        "substance": ("Depois de {time} continua {trait}, como você disse na primavera",
                      "Testei {thing} com {who} e passados {time} ficamos com a compra",
                      "Discordo, para {who} não foi nada {trait}"),
        "reply": ("Obrigada! Semana que vem mostro {thing}", "Para mim foi {trait}, me conta"),
    },
}  # fmt: skip


def filled(template: str, words: dict[str, tuple[str, ...]]) -> list[str]:
    """The template with every combination of its slots' words."""
    slots = [name for _, name, _, _ in Formatter().parse(template) if name]
    values = [words[name] for name in slots]
    return [template.format(**dict(zip(slots, some, strict=True))) for some in product(*values)]


@cache
def pool(language: str, kind: str) -> tuple[str, ...]:
    """All texts of one class (or `reply`) in one language, hundreds each, in a fixed order."""
    words = WORDS[language] | {"n": tuple(str(n) for n in range(15, 990, 25))}
    if kind == "hollow":
        return tuple(p + t for t in TAILS for p in words["praise"])
    if kind == "emoji":
        pairs = [a + b for a, b in product(EMOJI, EMOJI)]
        return (*EMOJI, *pairs, *(a * 3 for a in EMOJI), *(p + EMOJI[0] for p in pairs))
    return tuple(text for template in TEMPLATES[language][kind] for text in filled(template, words))
