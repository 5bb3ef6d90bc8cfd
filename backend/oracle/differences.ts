const LATER_CODE = 'Later PostgREST: PGRST205 instead of 42P01 or an empty body.'
const LATER_TEXT = 'Later PostgREST words it so.'
const MORE = 'We answer where 12.0.2 cannot.'

/** Requests of `requests.txt` that we answer differently from PostgREST 12.0.2, each with the reason. */
export const DIFFERENCES: ReadonlyMap<string, string> = new Map([
  ['GET | /authors | Accept: text/html', 'RFC 9110: what cannot be accepted is 406, as in later PostgREST.'],
  ['GET | /nowhere', LATER_CODE],
  ['GET | /rpc', LATER_CODE],
  ['POST | /nowhere |  | {"a":1}', LATER_CODE],
  ['OPTIONS | /nowhere', LATER_CODE],
  ['GET | /authors/1', 'Later PostgREST: PGRST125 instead of an empty body.'],
  ['OPTIONS | /rpc/add', 'A preflight of CORS carries no arguments.'],
  ['GET | /employees?select=name,employees!employees_manager_id_fkey(name)', MORE],
  ['GET | /books?select=author_id,count', MORE],
  ['GET | /rpc/table_of?n=3&a=gt.1&select=b', MORE],
  ['GET | /kinds?select=jb->a&jb->a=is.not_null', 'Later PostgREST: is.not_null.'],
  ['POST | /authors |  | {"nope":1}', LATER_TEXT],
  ['PATCH | /authors?id=eq.1 |  | {"nope":1}', LATER_TEXT],
  ['POST | /books?columns=title,nope |  | {"title":"T"}', LATER_TEXT],
  ['POST | /authors |  | "text"', 'A text is no row; 12.0.2 inserts nothing and says 201.'],
  ['POST | /authors |  | 3', 'A number is no row; 12.0.2 inserts nothing and says 201.'],
  ['POST | /bare | content-type: application/xml | <a/>', 'RFC 9110: a media type that is not read is 415.'],
])
