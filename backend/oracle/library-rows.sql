delete from books_genres; delete from copies; delete from shelves; delete from books; delete from profiles; delete from authors;
delete from publishers; delete from genres; delete from employees; delete from "odd name"; delete from bare; delete from kinds;
select setval('authors_id_seq', 1, false), setval('books_id_seq', 1, false);
insert into authors (name, born, rating, mood) values ('Ann', '1950-01-02', 4.5, 'happy'), ('Bob', null, 3.25, 'sad'), ('Cy, "the" (Great)', '1970-05-06', null, null), ('Dee', '1980-01-01', 5, 'ok');
insert into profiles values (1, 'writes'), (2, null);
insert into publishers values (1, 'Big', 'Rome'), (2, 'Small', null);
insert into books (title, pages, author_id, publisher_id, editor_id, meta, tags, words, published, price, in_print, during) values
  ('Alpha', 120, 1, 1, 2, '{"isbn":"1","dim":{"w":10,"h":20},"list":[1,2,3]}', '{red,blue}', to_tsvector('the quick fox'), '1990-01-01T00:00:00Z', 10.5, true, '[1,5)'),
  ('Beta', 300, 1, 2, null, '{"isbn":"2"}', '{}', to_tsvector('lazy dogs'), '2005-06-07T08:09:10Z', null, false, '[3,9)'),
  ('Gamma 50%', null, 2, null, 3, null, null, null, null, 7, null, null),
  ('delta', 80, null, 1, null, '[]', '{"a,b","c\"d"}', to_tsvector('quick dogs'), '1985-03-04T00:00:00Z', 99.99, true, '[10,20)');
insert into genres values (1, 'fiction'), (2, 'drama'), (3, 'empty');
insert into books_genres values (1, 1, 5), (1, 2, 6), (2, 1, 7), (3, 2, 8);
insert into employees values (1, 'Boss', null), (2, 'Mid', 1), (3, 'Low', 2), (4, 'Low too', 2);
insert into shelves values (1, 1, 'north'), (1, 2, 'south'), (2, 1, null);
insert into copies values (1, 1, 1, 1), (2, 1, 1, 2), (3, 2, 1, 1), (4, null, null, 3);
insert into "odd name" values ('x', 1, 'q'), ('y,z', 2, null);
insert into bare values ('a', 1), ('b', 2);
insert into kinds values
  (1, 1, 9007199254740993, 1.5, true, 'text', 'abc', '2020-01-02', '2020-01-02 03:04:05', '2020-01-02T03:04:05Z', '00000000-0000-0000-0000-000000000001', '{"b": 1,  "a":2}', '{"b":1,"a":2}', '{1,2}', '\x0102', '[1,3)', '1 day'),
  (2, null, null, 'NaN', null, E'line\nbreak', null, null, null, null, null, null, null, null, null, null, null);

