package main

// words are the judge's own in the language of the user.
type words struct {
	marks                                                 map[string]string
	columns, step, skippedOf, noteOf, more, closing       string
	points, judging, waiting, missing, done, broken, keys string
	interrupted, unexpected, badLang, badJobs, noRow      string
	noStep, queues, see                                   string
	usage                                                 string
}

var wordsOf = map[string]words{
	"en": {
		marks: map[string]string{
			statusPassed: "ok", statusFailed: "FAILED", statusSkipped: "skipped", statusError: "SUITE ERROR",
		},
		see: "see %s", columns: "step\tid\tpoints\tresult\t", step: "step %d",
		skippedOf: "skipped of %s: %s", noteOf: "of %s: %s",
		more:    "others that failed: %d. --id ID shows one whole, --verbose all.",
		closing: "%d passed, %d failed, %d skipped, %d not judged: %d of %d points",
		points:  "%d of %d points", judging: "judging", waiting: "waiting for the next build",
		missing: "waiting for the programs: build them", done: "everything passes", broken: "it does not build",
		keys: "Ctrl-C ends", interrupted: "interrupted before all was judged", unexpected: "unexpected argument %q",
		badLang: "--lang %s: it is en or es", badJobs: "--jobs: at least 1", noRow: "no row %q; see --list",
		noStep: "no row of step %v; see --list",
		queues: "queues of this user that are there already, and take room: %d (%s). If they are left over: cd /dev/mqueue && rm NAME", usage: usage,
	},
	"es": {
		marks: map[string]string{
			statusPassed: "bien", statusFailed: "MAL", statusSkipped: "omitida", statusError: "ERROR DE LAS PRUEBAS",
		},
		see: "mira %s", columns: "paso\tid\tpuntos\tresultado\t", step: "paso %d",
		skippedOf: "omitido de %s: %s", noteOf: "de %s: %s",
		more:    "otras que fallan: %d. --id ID muestra una entera, --verbose todas.",
		closing: "superadas: %d, fallidas: %d, omitidas: %d, sin evaluar: %d; puntos: %d de %d",
		points:  "%d de %d puntos", judging: "comprobando", waiting: "esperando la próxima compilación",
		missing: "esperando los programas: compílalos", done: "todo bien", broken: "no compila",
		keys: "Ctrl-C termina", interrupted: "interrumpido antes de comprobarlo todo", unexpected: "argumento inesperado: %q",
		badLang: "--lang %s: es en o es", badJobs: "--jobs: al menos 1", noRow: "no hay ninguna prueba %q; mira --list",
		noStep: "no hay pruebas del paso %v; mira --list",
		queues: "colas de este usuario que ya existen y ocupan sitio: %d (%s). Si sobran: cd /dev/mqueue && rm NOMBRE", usage: usageES,
	},
}
