/* render.h - diagnostics for people and for tools.
 *
 *     error[E0201]: index `i` stands for two sizes, 784 and 768
 *       --> mlp.nn:9:27
 *      4 |   param w: f32[H, 768] ~ kaiming(768)
 *        |                   --- `i` is 768 here (2nd dimension of `w`)
 *      9 |     return [o] => sum(i: x[i] * w[o, i])
 *        |                          ^^^^ but 784 here (`x: f32[784]`)
 *       help: declare `w` as f32[H, 784], or feed 768 inputs
 */
#ifndef NNC_FRONTEND_RENDER_H
#define NNC_FRONTEND_RENDER_H

#include "lang/diag.h"

typedef enum RenderFormat {
  RENDER_HUMAN,
  RENDER_SHORT, /* file:line:column: error[E0201]: message */
  RENDER_JSON,  /* one object a line */
} RenderFormat;

enum { RENDER_LIMIT = 20 }; /* messages shown to people; JSON has all */

typedef struct RenderOptions {
  RenderFormat format;
  bool color;
  bool quiet; /* no warnings */
} RenderOptions;

/* Writes the sink's messages, in the order in which they were given. */
void render_diags(Buf *out, const DiagSink *sink, const Sources *sources, const RenderOptions *options);

#endif
