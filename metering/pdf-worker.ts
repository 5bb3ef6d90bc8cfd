import { parentPort } from 'node:worker_threads'
import { renderInvoicePdf } from './invoice-pdf.ts'
import type { PdfAnswer, PdfOrder } from './pdf-renderer.ts'

/** The thread that sets PDFs, one after the other. */
parentPort?.on('message', ({ id, view }: PdfOrder) => {
  renderInvoicePdf(view).then(
    (pdf) => parentPort?.postMessage({ id, pdf: new Uint8Array(pdf) } satisfies PdfAnswer),
    (fault: unknown) => parentPort?.postMessage({ id, fault: String(fault) } satisfies PdfAnswer),
  )
})
